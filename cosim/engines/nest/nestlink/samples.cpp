// SPDX-License-Identifier: GPL-2.0-or-later
//
// What multimeters of NEST sample, taken over while a step runs, to its place in the message.
//
// A neuron writes its samples down as it is updated, those of each of NEST's slices into one of two halves. A
// multimeter asks for the half of the last slice when the next one begins. So what it hands over when a step is over
// lags behind by one slice: it is asked once more then. Nothing is kept that was read, so a long run costs no more.
//
// Multimeters write to a recording backend; that of here is NEST's own that keeps all in memory, without the keeping.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"
#include "sink_block.h"
#include "threads.h"

#include "delay_checker.h"
#include "io_manager_impl.h"
#include "kernel_manager.h"
#include "node.h"
#include "recording_backend_memory.h"
#include "recording_device.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <vector>

namespace cosim
{

COSIM_REACH( SliceNumber, nest::SimulationManager, long, slice_ )

namespace
{

class Samples;

//! By the ids of their multimeters.
std::unordered_map< size_t, Samples* > samples_of;

//! Lets neurons hand over what they have written down in a slice that goes on beyond the end of a step.
class HalfOfNow
{
public:
  HalfOfNow()
    : is_within_( simulation_.get_time() != simulation_.get_slice_origin() )
  {
    simulation_.*reach( SliceNumber() ) += is_within_;
  }

  ~HalfOfNow()
  {
    simulation_.*reach( SliceNumber() ) -= is_within_;
  }

private:
  nest::SimulationManager& simulation_ = nest::kernel().simulation_manager;
  const bool is_within_;
};

//! The samples of one step of one multimeter; those of neurons on other ranks stay 0.
class Samples : public SinkBlock
{
public:
  explicit Samples( const SamplesSpec& spec )
    : node_id_( spec.node_id )
    , neurons_( spec.neurons, spec.neurons + spec.count )
    , interval_( nest::Time( nest::Time::ms( spec.interval_ms ) ).get_steps() )
    , samples_( spec.samples )
    , values_( spec.variables * spec.samples * spec.count )
  {
    for ( long neuron = 0; neuron < spec.count; ++neuron )
    {
      if ( not nest::kernel().node_manager.get_node_or_proxy( neurons_[ neuron ] )->is_proxy() )
      {
        for ( long row = 0; row < spec.variables * samples_; ++row )
        {
          values_[ row * spec.count + neuron ] = std::numeric_limits< double >::quiet_NaN();
        }
      }
    }
    samples_of[ node_id_ ] = this;
  }

  ~Samples() override
  {
    const auto found = samples_of.find( node_id_ );
    if ( found != samples_of.end() and found->second == this )
    {
      samples_of.erase( found );
    }
  }

  //! Threads call this for neurons of their own.
  void
  take( long neuron_id, const nest::Time& time, const std::vector< double >& variables )
  {
    const long neuron = std::lower_bound( neurons_.begin(), neurons_.end(), neuron_id ) - neurons_.begin();
    const long sample = ( time.get_steps() / interval_ - 1 ) % samples_;
    for ( size_t variable = 0; variable < variables.size(); ++variable )
    {
      values_[ ( variable * samples_ + sample ) * neurons_.size() + neuron ] = variables[ variable ];
    }
  }

  void
  read( double* values ) override
  {
    const nest::Time now = nest::kernel().simulation_manager.get_time();
    const HalfOfNow half;
    on_all_threads( [ & ]( size_t thread ) {
      nest::kernel().node_manager.get_node_or_proxy( node_id_, thread )->update( now, 0, 0 );
    } );
    std::copy( values_.begin(), values_.end(), values );
  }

private:
  const size_t node_id_;
  const std::vector< int64_t > neurons_;
  const long interval_;
  const long samples_;
  std::vector< double > values_;
};

//! Hands over to samples what multimeters write.
class Backend : public nest::RecordingBackendMemory
{
public:
  Backend()
  {
    initialize();
  }

  void
  write( const nest::RecordingDevice& device,
    const nest::Event& event,
    const std::vector< double >& doubles,
    const std::vector< long >& ) override
  {
    const auto found = samples_of.find( device.get_node_id() );
    if ( found != samples_of.end() )
    {
      found->second->take( event.get_sender_node_id(), event.get_stamp(), doubles );
    }
  }
};

}  // namespace

std::unique_ptr< SinkBlock >
make_samples( const SamplesSpec& spec )
{
  return std::make_unique< Samples >( spec );
}

}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Give multimeters a backend of this name, unless it is there. Before they are created, and again after ResetKernel.
int
nestlink_offer_backend( const char* name )
{
  return guarded( [ & ] {
    if ( not nest::kernel().io_manager.is_valid_recording_backend( name ) )
    {
      nest::kernel().io_manager.register_recording_backend< Backend >( name );
    }
  } );
}

//! Whether the delays of connections that are made from now on count in min_delay and max_delay. Collective.
int
nestlink_count_delays( int counted )
{
  return guarded( [ & ] {
    on_all_threads( [ & ]( size_t ) {
      nest::DelayChecker& checker = nest::kernel().connection_manager.get_delay_checker();
      counted ? checker.enable_delay_update() : checker.freeze_delay_update();
    } );
  } );
}

}  // extern "C"

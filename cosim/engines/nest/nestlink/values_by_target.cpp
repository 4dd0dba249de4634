// SPDX-License-Identifier: GPL-2.0-or-later
//
// Two models of NEST: a current into each of its targets, and a Poisson train into each at a rate of its own.
//
// NEST has them for one value only. A generator for each neuron gives the same currents and spikes, but NEST updates
// all of them on every thread and opens blocks of connections for each: 10,000 take 400 MB and several times as long
// as as many neurons, on any number of threads. Here each thread goes through its own targets.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "guard.h"
#include "values_by_target.h"

#include "event.h"
#include "event_delivery_manager_impl.h"
#include "exceptions.h"
#include "genericmodel_impl.h"
#include "kernel_manager.h"
#include "model_manager_impl.h"
#include "random_generators.h"
#include "structural_plasticity_node.h"

#include <algorithm>
#include <string>

namespace cosim
{

namespace
{

//! Currents in pA, as of a dc_generator for each target.
class Currents : public ValuesByTarget
{
public:
  using Node::event_hook;

  Type
  get_type() const override
  {
    return CURRENT_GENERATOR;
  }

  size_t
  send_test_event( nest::Node& target, size_t receptor, nest::synindex synapse, bool is_dummy ) override
  {
    enforce_single_syn_type( synapse );
    nest::DSCurrentEvent for_model;
    nest::CurrentEvent event;
    event.set_sender( *this );
    for_model.set_sender( *this );
    return is_dummy ? target.handles_test_event( for_model, receptor ) : target.handles_test_event( event, receptor );
  }

  void
  update( const nest::Time& origin, long from, long to ) override
  {
    for ( long lag = from; lag < to; ++lag )
    {
      if ( is_active_at( origin, lag ) )
      {
        nest::DSCurrentEvent event;
        nest::kernel().event_delivery_manager.send( *this, event, lag );
      }
    }
  }

  void
  event_hook( nest::DSCurrentEvent& event ) override
  {
    event.set_current( value( event.get_port() ) );
    event.get_receiver().handle( event );
  }
};

//! Rates in Hz, as of a poisson_generator for each target: random numbers are drawn in the same order.
class Rates : public ValuesByTarget
{
public:
  using Node::event_hook;

  Type
  get_type() const override
  {
    return SPIKE_GENERATOR;
  }

  size_t
  send_test_event( nest::Node& target, size_t receptor, nest::synindex synapse, bool is_dummy ) override
  {
    enforce_single_syn_type( synapse );
    nest::DSSpikeEvent for_model;
    nest::SpikeEvent event;
    event.set_sender( *this );
    for_model.set_sender( *this );
    return is_dummy ? target.handles_test_event( for_model, receptor ) : target.handles_test_event( event, receptor );
  }

  void
  set_value( size_t target, double rate_hz ) override
  {
    ValuesByTarget::set_value( target, rate_hz );
    means_.resize( values_.size(), Mean( 0.0 ) );
    means_[ target ] = Mean( nest::Time::get_resolution().get_ms() * rate_hz * 1e-3 );
  }

  void
  update( const nest::Time& origin, long from, long to ) override
  {
    draw( origin, from, to );
    for ( lag_ = from; lag_ < to; ++lag_ )
    {
      if ( is_active_at( origin, lag_ ) )
      {
        nest::DSSpikeEvent event;
        nest::kernel().event_delivery_manager.send( *this, event, lag_ );
      }
    }
  }

  void
  event_hook( nest::DSSpikeEvent& event ) override
  {
    const size_t target = event.get_port();
    const unsigned long spikes = target < values_.size() ? spikes_[ target * slots_ + lag_ - from_ ] : 0;
    if ( spikes > 0 )
    {
      event.set_multiplicity( spikes );
      event.get_receiver().handle( event );
    }
  }

private:
  using Mean = nest::poisson_distribution::param_type;

  //! All spikes of a target before those of the next.
  void
  draw( const nest::Time& origin, long from, long to )
  {
    from_ = from;
    slots_ = to - from;
    spikes_.assign( values_.size() * slots_, 0 );
    for ( size_t target = 0; target < values_.size(); ++target )
    {
      for ( long lag = from; values_[ target ] > 0 and lag < to; ++lag )
      {
        if ( is_active_at( origin, lag ) )
        {
          spikes_[ target * slots_ + lag - from ] = poisson_( nest::get_vp_specific_rng( get_thread() ), means_[ target ] );
        }
      }
    }
  }

  nest::poisson_distribution poisson_;
  std::vector< Mean > means_;
  std::vector< unsigned long > spikes_;
  long from_ = 0, slots_ = 0, lag_ = 0;
};

template < typename Model >
void
register_model( const std::string& name )
{
  try
  {
    nest::kernel().model_manager.get_node_model_id( name );
  }
  catch ( const nest::UnknownModelName& )
  {
    nest::kernel().model_manager.register_node_model< Model >( name );
  }
}

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Make the models known to NEST, which forgets them at ResetKernel.
int
nestlink_register_models()
{
  return guarded( [] {
    register_model< Currents >( "cosim_currents" );
    register_model< Rates >( "cosim_rates" );
  } );
}

}  // extern "C"

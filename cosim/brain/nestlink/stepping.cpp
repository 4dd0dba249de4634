// SPDX-License-Identifier: GPL-2.0-or-later
//
// What brain ranks do in a coupling step, without the cost that PyNEST's Run and its setters have:
//
//   1. Run without its 20 allreduces and its barrier. The allreduces compare random numbers over ranks; the
//      barrier ends a Run although the last thing that it did was an exchange of spikes. All else is NEST's Run
//      to the letter: the numbers that the comparison would have drawn are drawn, so that spikes are identical
//      also where a model uses these generators (mip_generator does), and the comparison itself can be asked
//      for once when the stepping ends.
//   2. Rates of Poisson generators and voltages of sinks through pointers that are looked up once. A generator
//      takes its rate over in its pre_run_hook, which the kernel calls at Prepare only: set through PyNEST inside
//      Prepare ... Cleanup, a new rate reads back as it was set and changes nothing.
//   3. A min_delay that divides the coupling step.
//
// Pointers to nodes are valid from Prepare on, until the next Create or ResetKernel.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"

#include "iaf_psc_alpha.h"
#include "kernel_manager.h"
#include "node.h"
#include "stopwatch_impl.h"

#include <algorithm>
#include <string>
#include <vector>

namespace cosim
{

using Simulation = nest::SimulationManager;
using RunStopwatch = nest::Stopwatch< nest::StopwatchGranularity::Normal, nest::StopwatchParallelism::MasterOnly >;

// The private members of SimulationManager that its run() touches.
#define COSIM_REACH( Name, Type, member )           \
  struct Name                                       \
  {                                                 \
    using Pointer = Type Simulation::*;             \
    friend Pointer reach( Name );                   \
  };                                                \
  template struct Grant< Name, &Simulation::member >;

COSIM_REACH( ToDo, long, to_do_ )
COSIM_REACH( ToDoTotal, long, to_do_total_ )
COSIM_REACH( FromStep, long, from_step_ )
COSIM_REACH( ToStep, long, to_step_ )
COSIM_REACH( Simulating, bool, simulating_ )
COSIM_REACH( Simulated, bool, simulated_ )
COSIM_REACH( Inconsistent, bool, inconsistent_state_ )
COSIM_REACH( RunTime, RunStopwatch, sw_simulate_ )

#undef COSIM_REACH

struct Update
{
  using Pointer = void ( Simulation::* )();
  friend Pointer reach( Update );
};
template struct Grant< Update, &Simulation::update_ >;

struct UpdateDelays
{
  using Pointer = void ( nest::ConnectionManager::* )();
  friend Pointer reach( UpdateDelays );
};
template struct Grant< UpdateDelays, &nest::ConnectionManager::update_delay_extrema_ >;

struct Voltage
{
  using Pointer = double ( nest::iaf_psc_alpha::* )() const;
  friend Pointer reach( Voltage );
};
template struct Grant< Voltage, &nest::iaf_psc_alpha::get_V_m_ >;

namespace
{

//! Draw what one RandomManager::check_rng_synchrony would draw on this rank, and compare nothing.
void
draw_as_the_check_does()
{
  constexpr int rounds = 5;
  const size_t threads = nest::kernel().vp_manager.get_num_threads();
  for ( int round = 0; round < rounds; ++round )
  {
    nest::get_rank_synced_rng()->drand();
    for ( size_t thread = 0; thread < threads; ++thread )
    {
      nest::get_vp_synced_rng( thread )->drand();
    }
  }
}

//! SimulationManager::run without its comparison of random numbers and its barrier.
void
run( const nest::Time& duration )
{
  Simulation& simulation = nest::kernel().simulation_manager;
  if ( not simulation.has_been_prepared() or simulation.*reach( Inconsistent() ) )
  {
    throw nest::KernelException( "stepped without Prepare, or after an error." );
  }
  draw_as_the_check_does();
  simulation.*reach( ToDo() ) += duration.get_steps();
  simulation.*reach( ToDoTotal() ) = simulation.*reach( ToDo() );
  nest::kernel().io_manager.pre_run_hook();
  nest::kernel().event_delivery_manager.reset_counters();
  ( simulation.*reach( RunTime() ) ).start();
  simulation.*reach( ToStep() ) = std::min(
    simulation.*reach( FromStep() ) + simulation.*reach( ToDo() ), nest::kernel().connection_manager.get_min_delay() );
  simulation.*reach( Simulating() ) = true;
  simulation.*reach( Simulated() ) = true;
  ( simulation.*reach( Update() ) )();
  simulation.*reach( Simulating() ) = false;
  nest::kernel().io_manager.post_run_hook();
  draw_as_the_check_does();
  ( simulation.*reach( RunTime() ) ).stop();
}

//! Lower NEST's min_delay to the longest part of a step that is a whole fraction of it.
//!
//! Steps that cut NEST's slices of one min_delay give other random numbers than steps that do not. A delay that is
//! checked counts as that of a connection. Left alone are a kernel whose delays are settled, and steps that would
//! need slices of less than half of the length: each slice costs an exchange of spikes.
void
fit_min_delay( const nest::Time& step )
{
  auto& manager = nest::kernel().connection_manager;
  if ( nest::kernel().simulation_manager.has_been_simulated() or manager.get_user_set_delay_extrema() )
  {
    return;
  }
  ( manager.*reach( UpdateDelays() ) )();
  const long smallest = manager.get_min_delay();
  for ( long part = smallest; 2 * part >= smallest; --part )
  {
    if ( step.get_steps() % part == 0 )
    {
      manager.get_delay_checker().assert_valid_delay_ms( nest::Time::delay_steps_to_ms( part ) );
      return;
    }
  }
}

//! The time of a step in ms, checked.
nest::Time
grid_time( double duration_ms )
{
  const nest::Time duration = nest::Time::ms( duration_ms );
  if ( not duration.is_finite() or not duration.is_grid_time() or duration.get_steps() < 1 )
  {
    throw nest::BadParameter( "a step must be a positive multiple of the simulation resolution." );
  }
  return duration;
}

//! Poisson generators, each with its copies on the threads of this rank, and the rates that they have.
class Sources
{
public:
  Sources( const long* node_ids, long count )
    : rates_hz_( count, 0.0 )
  {
    const size_t threads = nest::kernel().vp_manager.get_num_threads();
    for ( const long* id = node_ids; id != node_ids + count; ++id )
    {
      std::vector< nest::Node* >& copies = generators_.emplace_back();
      for ( size_t thread = 0; thread < threads; ++thread )
      {
        copies.push_back( nest::kernel().node_manager.get_node_or_proxy( *id, thread ) );
      }
    }
  }

  void
  set( const double* rates_hz )
  {
    for ( size_t i = 0; i < generators_.size(); ++i )
    {
      if ( rates_hz[ i ] != rates_hz_[ i ] )
      {
        Dictionary parameter;
        parameter[ "rate" ] = rates_hz[ i ];
        for ( nest::Node* generator : generators_[ i ] )
        {
          generator->set_status( parameter );
          generator->pre_run_hook();
        }
        rates_hz_[ i ] = rates_hz[ i ];
      }
    }
  }

private:
  std::vector< std::vector< nest::Node* > > generators_;
  std::vector< double > rates_hz_;
};

//! Those of some integrators that are on this rank, with their places among all.
class Sinks
{
public:
  Sinks( const long* node_ids, long count )
  {
    for ( long place = 0; place < count; ++place )
    {
      nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( node_ids[ place ] );
      if ( not node->is_proxy() )
      {
        const auto* integrator = dynamic_cast< const nest::iaf_psc_alpha* >( node );
        if ( not integrator )
        {
          throw nest::BadParameter( "node " + std::to_string( node_ids[ place ] ) + " is no iaf_psc_alpha." );
        }
        own_.push_back( { integrator, place } );
      }
    }
  }

  void
  read( double* voltages_mv ) const
  {
    for ( const Own& each : own_ )
    {
      voltages_mv[ each.place ] = ( each.integrator->*reach( Voltage() ) )();
    }
  }

private:
  struct Own
  {
    const nest::iaf_psc_alpha* integrator;
    long place;
  };
  std::vector< Own > own_;
};

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Advance by a time in ms, inside Prepare ... Cleanup. Collective.
int
nestlink_run( double duration_ms )
{
  return guarded( [ & ] { run( grid_time( duration_ms ) ); } );
}

//! Make min_delay divide a step, where that costs little. After the last Connect, before Prepare. Collective.
int
nestlink_fit_min_delay( double step_ms )
{
  return guarded( [ & ] { fit_min_delay( grid_time( step_ms ) ); } );
}

//! Compare random numbers over all ranks and threads, as NEST's Run does before and after. Collective.
int
nestlink_check_synchrony()
{
  return guarded( [] { nest::kernel().random_manager.check_rng_synchrony(); } );
}

int
nestlink_open_sources( const long* node_ids, long count, void** sources )
{
  return guarded( [ & ] { *sources = new Sources( node_ids, count ); } );
}

//! Set the rates of all sources of which they have changed; they act from the next Run on.
int
nestlink_set_sources( void* sources, const double* rates_hz )
{
  return guarded( [ & ] { static_cast< Sources* >( sources )->set( rates_hz ); } );
}

void
nestlink_close_sources( void* sources )
{
  delete static_cast< Sources* >( sources );
}

//! Fails for a node of this rank that is no iaf_psc_alpha.
int
nestlink_open_sinks( const long* node_ids, long count, void** sinks )
{
  return guarded( [ & ] { *sinks = new Sinks( node_ids, count ); } );
}

//! Write the voltages of the sinks on this rank to their places; the others keep what they held.
void
nestlink_read_sinks( const void* sinks, double* voltages_mv )
{
  static_cast< const Sinks* >( sinks )->read( voltages_mv );
}

void
nestlink_close_sinks( void* sinks )
{
  delete static_cast< Sinks* >( sinks );
}

}  // extern "C"

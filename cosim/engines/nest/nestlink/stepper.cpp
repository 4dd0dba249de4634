// SPDX-License-Identifier: GPL-2.0-or-later
//
// Coupling steps of NEST, without the cost that PyNEST's Run and its setters have:
//
//   1. Run without its 20 allreduces and its barrier. The allreduces compare random numbers over ranks; the
//      barrier ends a Run although the last thing that it did was an exchange of spikes. All else is NEST's Run
//      to the letter: the numbers that the comparison would have drawn are drawn, so that spikes are identical
//      also where a model uses these generators (mip_generator does), and the comparison itself can be asked
//      for once when the stepping ends.
//   2. The next step begins while the stimulus is still on its way: a Run first delivers the spikes of the last
//      exchange, then it updates all nodes in the order of their ids up to the next exchange. What comes before
//      the first source in this order does not depend on the stimulus. Transfer functions and messages that
//      take no longer cost nothing.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "grid_time.h"
#include "guard.h"
#include "reach.h"
#include "sources.h"
#include "threads.h"

#include "kernel_manager.h"
#include "node.h"
#include "sparse_node_array.h"
#include "stopwatch_impl.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cosim
{

using Simulation = nest::SimulationManager;
using Method = void();
using RunStopwatch = nest::Stopwatch< nest::StopwatchGranularity::Normal, nest::StopwatchParallelism::MasterOnly >;
using GatherStopwatch = nest::Stopwatch< nest::StopwatchGranularity::Detailed, nest::StopwatchParallelism::MasterOnly >;
using ThreadStopwatch = nest::Stopwatch< nest::StopwatchGranularity::Detailed, nest::StopwatchParallelism::Threaded >;

// What SimulationManager's run() and update_() touch.
COSIM_REACH( Clock, Simulation, nest::Time, clock_ )
COSIM_REACH( ToDo, Simulation, long, to_do_ )
COSIM_REACH( ToDoTotal, Simulation, long, to_do_total_ )
COSIM_REACH( FromStep, Simulation, long, from_step_ )
COSIM_REACH( ToStep, Simulation, long, to_step_ )
COSIM_REACH( Simulating, Simulation, bool, simulating_ )
COSIM_REACH( Simulated, Simulation, bool, simulated_ )
COSIM_REACH( Inconsistent, Simulation, bool, inconsistent_state_ )
COSIM_REACH( UpdateTimeLimit, Simulation, double, update_time_limit_ )
COSIM_REACH( RunTime, Simulation, RunStopwatch, sw_simulate_ )
COSIM_REACH( DeliverTime, Simulation, ThreadStopwatch, sw_deliver_spike_data_ )
COSIM_REACH( UpdateTime, Simulation, ThreadStopwatch, sw_update_ )
COSIM_REACH( GatherTime, Simulation, GatherStopwatch, sw_gather_spike_data_ )
COSIM_REACH( Update, Simulation, Method, update_ )
COSIM_REACH( AdvanceTime, Simulation, Method, advance_time_ )

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

//! Part of a step on all threads; an exception of one of them leaves the kernel unusable, as in NEST.
template < typename Work >
void
step_on_all_threads( Work work )
{
  try
  {
    on_all_threads( work );
  }
  catch ( ... )
  {
    nest::kernel().simulation_manager.*reach( Inconsistent() ) = true;
    nest::kernel().simulation_manager.*reach( Simulating() ) = false;
    throw;
  }
}

//! Advances a prepared network in steps of one length.
class Stepper
{
public:
  Stepper( const nest::Time& step, const Setting* settings, long count )
    : step_( step )
    , sources_( settings, count, step.get_steps() )
    , first_source_( std::numeric_limits< long >::max() )
  {
    for ( const Setting* each = settings; each < settings + count; ++each )
    {
      first_source_ = std::min( first_source_, static_cast< size_t >( each->node_id ) );
    }
  }

  void
  set( const double* values )
  {
    sources_.set( values );
  }

  //! Begin the next step, as far as no source can change it.
  void
  run_ahead()
  {
    if ( is_begun_ or not can_run_ahead() )
    {
      return;
    }
    begin();
    step_on_all_threads( [ this ]( size_t thread ) {
      deliver( thread );
      update( thread, 0, first_source_ );
    } );
    pause();
    is_begun_ = true;
  }

  //! Advance by one step, or finish the one that was begun.
  void
  run()
  {
    if ( is_begun_ )
    {
      is_begun_ = false;
      go_on();
      finish_slice();
    }
    else
    {
      begin();
    }
    if ( simulation_.*reach( ToDo() ) > 0 )
    {
      ( simulation_.*reach( Update() ) )();
    }
    pause();
    nest::kernel().io_manager.post_run_hook();
    draw_as_the_check_does();
  }

private:
  //! What SimulationManager::run does before update_, without its comparison of random numbers.
  void
  begin()
  {
    if ( not simulation_.has_been_prepared() or simulation_.*reach( Inconsistent() ) )
    {
      throw nest::KernelException( "stepped without Prepare, or after an error." );
    }
    draw_as_the_check_does();
    simulation_.*reach( ToDo() ) += step_.get_steps();
    simulation_.*reach( ToDoTotal() ) = simulation_.*reach( ToDo() );
    nest::kernel().io_manager.pre_run_hook();
    nest::kernel().event_delivery_manager.reset_counters();
    go_on();
    simulation_.*reach( ToStep() ) =
      std::min( simulation_.*reach( FromStep() ) + simulation_.*reach( ToDo() ),
        nest::kernel().connection_manager.get_min_delay() );
    simulation_.*reach( Simulated() ) = true;
  }

  void
  go_on()
  {
    ( simulation_.*reach( RunTime() ) ).start();
    simulation_.*reach( Simulating() ) = true;
  }

  void
  pause()
  {
    simulation_.*reach( Simulating() ) = false;
    ( simulation_.*reach( RunTime() ) ).stop();
  }

  //! Not where update_ has more to do in a slice than delivering spikes, updating nodes and exchanging spikes.
  bool
  can_run_ahead() const
  {
#if defined( HAVE_MUSIC ) || defined( HAVE_SIONLIB )
    return false;
#else
    return simulation_.has_been_prepared() and not nest::kernel().connection_manager.secondary_connections_exist()
      and not nest::kernel().sp_manager.is_structural_plasticity_enabled()
      and not std::isfinite( simulation_.*reach( UpdateTimeLimit() ) );
#endif
  }

  //! As update_ does at the start of a slice. Before the first slice nothing was sent.
  void
  deliver( size_t thread )
  {
    if ( simulation_.get_slice() > 0 and simulation_.*reach( FromStep() ) == 0
      and nest::kernel().connection_manager.has_primary_connections() )
    {
      ( simulation_.*reach( DeliverTime() ) ).start();
      nest::kernel().event_delivery_manager.deliver_events( thread );
      ( simulation_.*reach( DeliverTime() ) ).stop();
    }
  }

  //! As update_ does, the nodes with ids from `first` to `end`; they are sorted by id.
  void
  update( size_t thread, size_t first, size_t end )
  {
    ( simulation_.*reach( UpdateTime() ) ).start();
    const nest::SparseNodeArray& nodes = nest::kernel().node_manager.get_local_nodes( thread );
    const auto from = std::lower_bound( nodes.begin(), nodes.end(), first, has_lower_id );
    const auto to = std::lower_bound( from, nodes.end(), end, has_lower_id );
    for ( auto node = from; node != to; ++node )
    {
      if ( not node->get_node()->is_frozen() )
      {
        node->get_node()->update(
          simulation_.*reach( Clock() ), simulation_.*reach( FromStep() ), simulation_.*reach( ToStep() ) );
      }
    }
    ( simulation_.*reach( UpdateTime() ) ).stop();
  }

  static bool
  has_lower_id( const nest::SparseNodeArray::NodeEntry& node, size_t id )
  {
    return node.get_node_id() < id;
  }

  //! The rest of the slice that `run_ahead` began: the sources and all nodes after them, and the exchange of spikes.
  void
  finish_slice()
  {
    step_on_all_threads(
      [ this ]( size_t thread ) { update( thread, first_source_, std::numeric_limits< size_t >::max() ); } );
    if ( simulation_.*reach( ToStep() ) == nest::kernel().connection_manager.get_min_delay()
      and nest::kernel().connection_manager.has_primary_connections() )
    {
      ( simulation_.*reach( GatherTime() ) ).start();
      nest::kernel().event_delivery_manager.gather_spike_data();
      ( simulation_.*reach( GatherTime() ) ).stop();
    }
    ( simulation_.*reach( AdvanceTime() ) )();
    if ( simulation_.*reach( ToDo() ) == 0 )
    {
      step_on_all_threads( [ this ]( size_t thread ) { bring_elements_up_to_date( thread ); } );
    }
  }

  //! As update_ does at its end: calcium and synaptic elements of all nodes.
  void
  bring_elements_up_to_date( size_t thread )
  {
    const nest::Time now = simulation_.*reach( Clock() ) + nest::Time::step( simulation_.*reach( ToStep() ) );
    for ( const auto& node : nest::kernel().node_manager.get_local_nodes( thread ) )
    {
      node.get_node()->update_synaptic_elements( now.get_ms() );
    }
  }

  Simulation& simulation_ = nest::kernel().simulation_manager;
  nest::Time step_;
  Sources sources_;
  size_t first_source_;
  bool is_begun_ = false;
};

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Steps of a time in ms, with what is set of some nodes as sources. Inside Prepare ... Cleanup.
int
nestlink_open_stepper( const void* settings, long count, double step_ms, void** stepper )
{
  return guarded(
    [ & ] { *stepper = new Stepper( grid_time( step_ms ), static_cast< const Setting* >( settings ), count ); } );
}

//! Set the sources of which the values have changed; they act from the next step on.
int
nestlink_set_sources( void* stepper, const double* values )
{
  return guarded( [ & ] { static_cast< Stepper* >( stepper )->set( values ); } );
}

//! Begin the next step as far as no source changes it.
int
nestlink_run_ahead( void* stepper )
{
  return guarded( [ & ] { static_cast< Stepper* >( stepper )->run_ahead(); } );
}

//! Advance by one step. Collective.
int
nestlink_run( void* stepper )
{
  return guarded( [ & ] { static_cast< Stepper* >( stepper )->run(); } );
}

//! Compare random numbers over all ranks and threads, as NEST's Run does before and after. Collective.
int
nestlink_check_synchrony()
{
  return guarded( [] { nest::kernel().random_manager.check_rng_synchrony(); } );
}

void
nestlink_close_stepper( void* stepper )
{
  delete static_cast< Stepper* >( stepper );
}

}  // extern "C"

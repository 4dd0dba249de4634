// SPDX-License-Identifier: GPL-2.0-or-later
//
// Before NEST simulates, each rank tells the others for which of their neurons it has targets. Two errors of NEST
// 3.10 are kept away here:
//
//   1. From two ranks on it tells them in rounds. Where one rank's part of the buffer is full, the other parts are
//      sent as they are, without a mark at their end (ConnectionManager::fill_target_buffer), and what the receiver
//      reads behind it are targets of an earlier round or of another network: spikes go to wrong neurons or come twice,
//      or the kernel crashes. ResetKernel does not empty the buffers; a GetConnections before the last Connect fills
//      them, too. With buffers that hold everything there is one round, and each part has its mark.
//   2. Spikes that are under way have the numbers of connections as these were. With compressed spikes a Connect
//      between two simulations gives connections other numbers, and spikes arrive at wrong neurons. It is refused.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"

#include "kernel_manager.h"
#include "mpi_manager_impl.h"
#include "nest_names.h"
#include "source_table.h"
#include "vp_manager_impl.h"

#include <algorithm>
#include <map>
#include <vector>

namespace cosim
{

using Method = void();
using ToldSources = std::vector< std::map< size_t, nest::CSDMapEntry > >;

COSIM_REACH( SettleDelays, nest::ConnectionManager, Method, update_delay_extrema_ )
COSIM_REACH( SourcesOfTargets, nest::ConnectionManager, nest::SourceTable, source_table_ )
COSIM_REACH( SourcesToTell, nest::SourceTable, ToldSources, compressed_spike_data_map_ )

namespace
{

//! The most entries that any rank has for any other rank. Collective.
size_t
most_entries_for_a_rank()
{
  auto& mpi = nest::kernel().mpi_manager;
  std::vector< long > entries( mpi.get_num_processes() ), most( mpi.get_num_processes() );
  const auto& table = nest::kernel().connection_manager.*reach( SourcesOfTargets() );
  for ( const auto& of_model : table.*reach( SourcesToTell() ) )
  {
    for ( const auto& source : of_model )
    {
      ++entries[ mpi.get_process_id_of_node_id( source.first ) ];
    }
  }
  most[ mpi.get_rank() ] = *std::max_element( entries.begin(), entries.end() );
  mpi.communicate( most );
  return *std::max_element( most.begin(), most.end() );
}

//! Give the buffers room for all entries in one round; NEST wants two for each rank at least.
void
make_room_for_all_entries()
{
  auto& mpi = nest::kernel().mpi_manager;
  const size_t entries = mpi.get_num_processes() * std::max< size_t >( 2, most_entries_for_a_rank() );
  Dictionary limit;
  mpi.get_status( limit );
  if ( limit.get< long >( nest::names::max_buffer_size_target_data ) < static_cast< long >( entries ) )
  {
    Dictionary larger;
    larger[ nest::names::max_buffer_size_target_data ] = static_cast< long >( entries );
    mpi.set_status( larger );
  }
  mpi.set_buffer_size_target_data( entries );
  nest::kernel().event_delivery_manager.resize_send_recv_buffers_target_data();
}

//! SimulationManager::update_connection_infrastructure to the letter, with compressed spikes, on one of all threads;
//! only the size of the buffers is another, and time is not taken.
void
tell_targets( size_t thread )
{
  auto& connections = nest::kernel().connection_manager;
  auto& events = nest::kernel().event_delivery_manager;
#pragma omp barrier
  connections.sort_connections( thread );
  connections.restructure_connection_tables( thread );
  connections.collect_compressed_spike_data( thread );
#pragma omp barrier
#pragma omp single
  {
    make_room_for_all_entries();
    connections.sync_has_primary_connections();
    connections.check_secondary_connections_exist();
  }
  if ( connections.secondary_connections_exist() )
  {
#pragma omp barrier
    connections.compute_compressed_secondary_recv_buffer_positions( thread );
#pragma omp barrier
#pragma omp single
    {
      nest::kernel().mpi_manager.communicate_recv_counts_secondary_events();
      events.configure_secondary_buffers();
    }
  }
#pragma omp barrier
#pragma omp single
  {
    connections.initialize_iteration_state();
  }
  events.gather_target_data_compressed( thread );
  if ( connections.secondary_connections_exist() )
  {
    connections.compress_secondary_send_buffer_pos( thread );
  }
#pragma omp barrier
#pragma omp single
  {
    connections.clear_compressed_spike_data_map();
    nest::kernel().node_manager.set_have_nodes_changed( false );
    connections.unset_connections_have_changed();
  }
}

//! Refuse what NEST would send to wrong neurons.
void
check_nothing_is_under_way()
{
  if ( nest::kernel().simulation_manager.has_been_simulated()
    and nest::kernel().connection_manager.connections_have_changed() )
  {
    throw nest::KernelException(
      "connected after a simulation: NEST 3.10 sends spikes that are under way to wrong neurons then; connect all "
      "before the first simulation, or set use_compressed_spikes = False." );
  }
}

//! All that Prepare has to do for connections, done before it; Prepare finds nothing changed. Collective.
void
tell_targets_in_one_round()
{
  auto& connections = nest::kernel().connection_manager;
  if ( not connections.use_compressed_spikes() )
  {
    return;
  }
  check_nothing_is_under_way();
  if ( nest::kernel().mpi_manager.get_num_processes() == 1 or connections.is_source_table_cleared() )
  {
    return;
  }
  ( connections.*reach( SettleDelays() ) )();
  nest::kernel().node_manager.update_thread_local_node_data();
  nest::kernel().node_manager.check_wfr_use();
#pragma omp parallel
  {
    tell_targets( nest::kernel().vp_manager.get_thread_id() );
  }
}

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Make NEST's tables of targets. After the last Connect, before Prepare. Collective.
int
nestlink_tell_targets()
{
  return guarded( tell_targets_in_one_round );
}

}  // extern "C"

// SPDX-License-Identifier: GPL-2.0-or-later
//
// nestlink: the few things that cosim needs from the NEST kernel and that PyNEST 3.10 does not offer.
//
//   1. NEST on a communicator of our own. PyNEST's set_communicator does nothing in 3.10; the kernel's method
//      is still there.
//   2. Making synapses fast and the same on every split, see connect.cpp.
//   3. Stepping the simulation, setting rates, reading voltages and recording spikes at next to no cost, see
//      stepper.cpp, min_delay.cpp, sinks.cpp and journal.cpp.
//   4. Tables of targets without an error of NEST, see targets.cpp; changes between two steps, see changes.cpp and
//      weights.cpp.
//
// All functions have C linkage and are called through ctypes on brain ranks; none lets an exception out. Those that
// can fail are `guarded`: they return 0 on success and leave a message in nestlink_error().
//
// What is copied from NEST, followed to the letter or reached although it is private stands in originals.toml.

#include "config.h"
// With HAVE_BOOST the headers below would ask for Boost, which is only needed to compile NEST itself: it
// changes how type names are printed and how vectors are sorted there, and no layout that we share.
#undef HAVE_BOOST

#include "dictionary.h"

#include "guard.h"
#include "reach.h"

#include "delay_checker.h"
#include "kernel_manager.h"

#include <omp.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace cosim
{

COSIM_REACH( RecvCounts, nest::MPIManager, std::vector< int >, recv_counts_secondary_events_in_int_per_rank_ )
COSIM_REACH( SendCounts, nest::MPIManager, std::vector< int >, send_counts_secondary_events_in_int_per_rank_ )
COSIM_REACH( RecvDisplacements,
  nest::MPIManager,
  std::vector< int >,
  recv_displacements_secondary_events_in_int_per_rank_ )
COSIM_REACH( SendDisplacements,
  nest::MPIManager,
  std::vector< int >,
  send_displacements_secondary_events_in_int_per_rank_ )

namespace
{

//! Throws unless threads of ours are threads of NEST, one for one and by the same numbers.
//!
//! They are not if NEST or nestlink was compiled without OpenMP, or each was loaded with a library of its own.
void
check_threads()
{
  auto& manager = nest::kernel().connection_manager;
  const int threads = static_cast< int >( nest::kernel().vp_manager.get_num_threads() );
  const auto* first = &manager.get_delay_checker();  // one for each thread, found by NEST's own count of threads
  int ours = 0, same = 0;
#pragma omp parallel reduction( + : ours, same )
  {
    ours += 1;
    same += &manager.get_delay_checker() == first + omp_get_thread_num();
  }
  if ( ours != threads or same != threads )
  {
    throw std::logic_error( "NEST has " + std::to_string( threads ) + " threads and nestlink " + std::to_string( ours )
      + ", of which " + std::to_string( same )
      + " are the same: one was built without OpenMP, or they were loaded with different OpenMP libraries" );
  }
}

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

const char*
nestlink_error()
{
  return last_error.data();
}

//! Hand the kernel a communicator (Fortran handle). To be followed by ResetKernel.
int
nestlink_set_communicator( [[maybe_unused]] int fortran_handle )
{
#ifdef HAVE_MPI
  return guarded( [ & ] {
    auto& mpi = nest::kernel().mpi_manager;
    mpi.set_communicator( MPI_Comm_f2c( fortran_handle ) );
    // NEST sized these once, for the world at import; with fewer ranks it would read stale entries at their
    // end.
    const size_t ranks = mpi.get_num_processes();
    ( mpi.*reach( RecvCounts() ) ).assign( ranks, 0 );
    ( mpi.*reach( SendCounts() ) ).assign( ranks, 0 );
    ( mpi.*reach( RecvDisplacements() ) ).assign( ranks, 0 );
    ( mpi.*reach( SendDisplacements() ) ).assign( ranks, 0 );
  } );
#else
  return guarded( [] { throw std::logic_error( "this NEST was built without MPI" ); } );
#endif
}

//! Fails unless NEST and nestlink count the same threads. Once the kernel has its number of threads.
int
nestlink_check_threads()
{
  return guarded( check_threads );
}

}  // extern "C"

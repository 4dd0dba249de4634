// SPDX-License-Identifier: GPL-2.0-or-later
//
// nestlink: the few things that cosim needs from the NEST kernel and that PyNEST 3.10 does not offer.
//
//   1. NEST on a communicator of our own. PyNEST's set_communicator does nothing in 3.10; the kernel's method
//      is still there.
//   2. A recording backend "cosim" that keeps events in contiguous buffers, which Python reads without a copy
//      and empties after every step, also between Run calls inside Prepare ... Cleanup.
//   3. Making synapses fast and the same on every split, see connect.cpp.
//   4. Stepping the simulation, setting rates, reading voltages and recording spikes at next to no cost, see
//      stepper.cpp, min_delay.cpp, sinks.cpp and journal.cpp.
//
// All functions have C linkage and are called through ctypes on brain ranks. Those that can fail return 0 on
// success and leave a message in nestlink_error().

#include "config.h"
// With HAVE_BOOST the headers below would ask for Boost, which is only needed to compile NEST itself: it
// changes how type names are printed and how vectors are sorted there, and no layout that we share.
#undef HAVE_BOOST

#include "dictionary.h"

#include "guard.h"
#include "reach.h"

#include "event.h"
#include "io_manager_impl.h"
#include "kernel_manager.h"
#include "node.h"
#include "recording_backend.h"
#include "recording_device.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace cosim
{

// The private members of MPIManager that are set below.
#define COSIM_REACH( Name, member )                             \
  struct Name                                                   \
  {                                                             \
    using Pointer = std::vector< int > nest::MPIManager::*;     \
    friend Pointer reach( Name );                               \
  };                                                            \
  template struct Grant< Name, &nest::MPIManager::member >;

COSIM_REACH( RecvCounts, recv_counts_secondary_events_in_int_per_rank_ )
COSIM_REACH( SendCounts, send_counts_secondary_events_in_int_per_rank_ )
COSIM_REACH( RecvDisplacements, recv_displacements_secondary_events_in_int_per_rank_ )
COSIM_REACH( SendDisplacements, send_displacements_secondary_events_in_int_per_rank_ )

#undef COSIM_REACH

//! Events of one recorder on one thread, in the order in which the thread wrote them.
struct EventBuffer
{
  std::vector< long > senders;
  std::vector< double > times_ms;
  std::vector< double > values;  //!< row-major, `value_names.size()` values an event
  std::vector< std::string > value_names;

  void
  clear()
  {
    senders.clear();
    times_ms.clear();
    values.clear();
  }
};

//! Recorders of one thread; the last one used is remembered, as events come in runs from the same recorder.
class ThreadBuffers
{
public:
  EventBuffer*
  find( size_t recorder )
  {
    if ( last_ and last_id_ == recorder )
    {
      return last_;
    }
    const auto found = buffers_.find( recorder );
    if ( found == buffers_.end() )
    {
      return nullptr;
    }
    last_id_ = recorder;
    last_ = &found->second;  // stays valid: unordered_map never moves its elements
    return last_;
  }

  void
  enroll( size_t recorder )
  {
    buffers_.try_emplace( recorder );
  }

  void
  disenroll( size_t recorder )
  {
    buffers_.erase( recorder );
    last_ = nullptr;
  }

private:
  std::unordered_map< size_t, EventBuffer > buffers_;
  EventBuffer* last_ = nullptr;
  size_t last_id_ = 0;
};

//! Recording backend for spike recorders and multimeters; buffers live until nestlink_clear or the end of the
//! kernel.
class CosimBackend : public nest::RecordingBackend
{
public:
  CosimBackend()
  {
    initialize();
    current = this;
  }

  ~CosimBackend() throw() override
  {
    if ( current == this )
    {
      current = nullptr;
    }
  }

  void
  initialize() override
  {
    threads_.assign( nest::kernel().vp_manager.get_num_threads(), ThreadBuffers() );
  }

  void
  finalize() override
  {
    threads_.clear();
  }

  void
  enroll( const nest::RecordingDevice& device, const Dictionary& ) override
  {
    threads_.at( device.get_thread() ).enroll( device.get_node_id() );
  }

  void
  disenroll( const nest::RecordingDevice& device ) override
  {
    threads_.at( device.get_thread() ).disenroll( device.get_node_id() );
  }

  void
  set_value_names( const nest::RecordingDevice& device,
    const std::vector< std::string >& double_names,
    const std::vector< std::string >& long_names ) override
  {
    EventBuffer* buffer = threads_.at( device.get_thread() ).find( device.get_node_id() );
    if ( buffer )
    {
      buffer->value_names = double_names;
      buffer->value_names.insert( buffer->value_names.end(), long_names.begin(), long_names.end() );
    }
  }

  void
  write( const nest::RecordingDevice& device,
    const nest::Event& event,
    const std::vector< double >& double_values,
    const std::vector< long >& long_values ) override
  {
    EventBuffer* buffer = threads_[ device.get_thread() ].find( device.get_node_id() );
    if ( not buffer )
    {
      return;
    }
    buffer->senders.push_back( event.get_sender_node_id() );
    // The same sum as in NEST's memory backend, so that times agree bit for bit.
    buffer->times_ms.push_back( event.get_stamp().get_ms() - event.get_offset() );
    buffer->values.insert( buffer->values.end(), double_values.begin(), double_values.end() );
    buffer->values.insert( buffer->values.end(), long_values.begin(), long_values.end() );
  }

  // Nothing is opened, flushed or configured: the buffers are read by whoever steps the simulation.
  void prepare() override {}
  void cleanup() override {}
  void pre_run_hook() override {}
  void post_run_hook() override {}
  void post_step_hook() override {}
  void set_status( const Dictionary& ) override {}
  void get_status( Dictionary& ) const override {}
  void check_device_status( const Dictionary& ) const override {}
  void get_device_defaults( Dictionary& ) const override {}
  void get_device_status( const nest::RecordingDevice&, Dictionary& ) const override {}

  size_t
  num_threads() const
  {
    return threads_.size();
  }

  EventBuffer*
  find( size_t recorder, size_t thread )
  {
    return thread < threads_.size() ? threads_[ thread ].find( recorder ) : nullptr;
  }

  static CosimBackend* current;  //!< the one registered in the kernel; the kernel owns it

private:
  std::vector< ThreadBuffers > threads_;
};

CosimBackend* CosimBackend::current = nullptr;

}  // namespace cosim

using namespace cosim;

extern "C"
{

const char*
nestlink_error()
{
  return last_error.c_str();
}

const char*
nestlink_nest_version()
{
  return NEST_VERSION;
}

int
nestlink_has_mpi()
{
#ifdef HAVE_MPI
  return 1;
#else
  return 0;
#endif
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
  last_error = "this NEST was built without MPI";
  return 1;
#endif
}

//! Register the backend "cosim". The kernel forgets backends at ResetKernel: call it after each.
int
nestlink_register_backend()
{
  return guarded( [] { nest::kernel().io_manager.register_recording_backend< CosimBackend >( "cosim" ); } );
}

int
nestlink_num_threads()
{
  return CosimBackend::current ? static_cast< int >( CosimBackend::current->num_threads() ) : 0;
}

//! Point at the events of a recorder on one thread; valid until the next Run or clear. Returns their number.
long
nestlink_events( size_t recorder,
  size_t thread,
  const long** senders,
  const double** times_ms,
  const double** values )
{
  EventBuffer* buffer = CosimBackend::current ? CosimBackend::current->find( recorder, thread ) : nullptr;
  if ( not buffer )
  {
    return 0;
  }
  *senders = buffer->senders.data();
  *times_ms = buffer->times_ms.data();
  *values = buffer->values.data();
  return static_cast< long >( buffer->senders.size() );
}

//! Number of values that each event of a recorder carries: 0 for a spike recorder.
long
nestlink_num_values( size_t recorder )
{
  EventBuffer* buffer = CosimBackend::current ? CosimBackend::current->find( recorder, 0 ) : nullptr;
  return buffer ? static_cast< long >( buffer->value_names.size() ) : 0;
}

const char*
nestlink_value_name( size_t recorder, size_t index )
{
  EventBuffer* buffer = CosimBackend::current ? CosimBackend::current->find( recorder, 0 ) : nullptr;
  return buffer and index < buffer->value_names.size() ? buffer->value_names[ index ].c_str() : "";
}

//! Forget the events of a recorder on all threads, keeping the memory for the next step.
void
nestlink_clear( size_t recorder )
{
  for ( int thread = 0; thread < nestlink_num_threads(); ++thread )
  {
    EventBuffer* buffer = CosimBackend::current->find( recorder, thread );
    if ( buffer )
    {
      buffer->clear();
    }
  }
}

}  // extern "C"

// SPDX-License-Identifier: GPL-2.0-or-later
//
// The journal: spikes of chosen neurons, without a recorder and without connections.
//
// A tap of each neuron (see tap.h) writes down sender and time. NEST's own recorder does the same through a synapse, a
// device and a backend, opens a block of 1024 synapses (16.5 kB) for each neuron that has one, and its synapse's delay
// counts in min_delay.
//
// After each Run the spikes of all threads are moved to one place, in the order of the threads, where Python
// reads them without a copy. Buffers keep their memory when they are emptied.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "tap.h"

#include "event.h"
#include "kernel_manager.h"
#include "node.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace cosim
{

namespace
{

//! Spikes in the order in which they came; on a cache line of its own, as each thread writes one.
//!
//! Where there is no memory for more, nothing is added.
struct alignas( 64 ) Spikes
{
  std::vector< double > times_ms;
  std::vector< long > node_ids;

  void
  append( double time_ms, long node_id, size_t count )
  {
    make_room_for( count );
    times_ms.insert( times_ms.end(), count, time_ms );
    node_ids.insert( node_ids.end(), count, node_id );
  }

  void
  append( const Spikes& more )
  {
    make_room_for( more.times_ms.size() );
    times_ms.insert( times_ms.end(), more.times_ms.begin(), more.times_ms.end() );
    node_ids.insert( node_ids.end(), more.node_ids.begin(), more.node_ids.end() );
  }

  void
  make_room_for( size_t count )
  {
    make_room( times_ms, count );
    make_room( node_ids, count );
  }

  void
  clear()
  {
    times_ms.clear();
    node_ids.clear();
  }
};

//! Writes down what the journal has of a neuron.
class JournalTap : public Tap
{
public:
  explicit JournalTap( Spikes& spikes )
    : spikes_( spikes )
  {
  }

  //! Only spikes come here: neurons send nothing else to all their devices.
  void
  send_to_all( const size_t, const std::vector< nest::ConnectorModel* >&, nest::Event& event ) override
  {
    const auto& spike = static_cast< const nest::SpikeEvent& >( event );
    spikes_.append( time_ms( spike ), spike.get_sender_node_id(), spike.get_multiplicity() );
  }

private:
  Spikes& spikes_;
};

//! What was recorded: by each thread since the last `collect`, and by all until it is forgotten.
class Journal
{
public:
  //! Start with the neurons of this rank among `node_ids`. NEST owns the taps until ResetKernel.
  //!
  //! In a run that goes on, what was collected stays, and times are those of the run: `before` more than NEST's.
  void
  open( const long* node_ids, long count, const nest::Time& before, bool goes_on )
  {
    const size_t threads = nest::kernel().vp_manager.get_num_threads();
    threads_.resize( std::max( threads_.size(), threads ) );  // a deque: taps of before stay valid
    for ( Spikes& spikes : threads_ )
    {
      spikes.clear();
    }
    if ( not goes_on )
    {
      forget();
      total_ = 0;
    }
    run_before = before;
    for ( const long* id = node_ids; id != node_ids + count; ++id )
    {
      const nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( *id );
      if ( not node->is_proxy() )
      {
        tap( *node );
      }
    }
  }

  //! Take over what the threads have written since the last call, and note how many spikes there were up to here.
  //! Where there is no memory for it, threads keep what was not taken over, for the next call.
  void
  collect()
  {
    make_room( done_, 1 );
    for ( Spikes& spikes : threads_ )
    {
      collected_.append( spikes );
      total_ += static_cast< long >( spikes.times_ms.size() );
      spikes.clear();
    }
    done_.push_back( total_ );
  }

  void
  forget()
  {
    collected_.clear();
    done_.clear();
  }

  const Spikes&
  collected() const
  {
    return collected_;
  }

  const std::vector< long >&
  done() const
  {
    return done_;
  }

private:
  void
  tap( const nest::Node& node )
  {
    if ( is_tapped< JournalTap >( node ) )
    {
      throw nest::KernelException( "node " + std::to_string( node.get_node_id() ) + " is recorded already." );
    }
    add_tap( node, std::make_unique< JournalTap >( threads_[ node.get_thread() ] ) );
  }

  std::deque< Spikes > threads_;
  Spikes collected_;
  std::vector< long > done_;
  long total_ = 0;
};

Journal journal;

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Record the spikes of neurons from now on. To be called after the last Create, and again after ResetKernel; then a
//! run may go on, of which `before_ms` are done.
int
nestlink_journal_open( const long* node_ids, long count, double before_ms, int goes_on )
{
  return guarded( [ & ] { journal.open( node_ids, count, nest::Time( nest::Time::ms( before_ms ) ), goes_on != 0 ); } );
}

//! Take over what the threads have written; returns how many spikes wait to be forgotten, -1 on failure.
long
nestlink_journal_collect()
{
  return guarded( [] { journal.collect(); } ) ? -1 : static_cast< long >( journal.collected().times_ms.size() );
}

//! Point at what was collected; valid until the next collect. `counts` are numbers of spikes and of collects.
void
nestlink_journal_read( const double** times_ms, const long** node_ids, const long** done, long* counts )
{
  *times_ms = journal.collected().times_ms.data();
  *node_ids = journal.collected().node_ids.data();
  *done = journal.done().data();
  counts[ 0 ] = static_cast< long >( journal.collected().times_ms.size() );
  counts[ 1 ] = static_cast< long >( journal.done().size() );
}

void
nestlink_journal_forget()
{
  journal.forget();
}

}  // extern "C"

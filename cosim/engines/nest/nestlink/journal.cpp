// SPDX-License-Identifier: GPL-2.0-or-later
//
// The journal: spikes of chosen neurons, without a recorder and without connections.
//
// When a neuron spikes, NEST hands the spike to the neuron's connections to devices, one connector for each
// synapse model. A Tap is a connector of ours at the end of that list: it writes down sender and time. NEST's own
// recorder does the same through a synapse, a device and a backend, opens a block of 1024 synapses (16.5 kB)
// for each neuron that has one, and its synapse's delay counts in min_delay.
//
// After each Run the spikes of all threads are moved to one place, in the order of the threads, where Python
// reads them without a copy. Buffers keep their memory when they are emptied.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"

#include "connector_base.h"
#include "event.h"
#include "kernel_manager.h"
#include "node.h"
#include "target_table_devices.h"
#include "vp_manager_impl.h"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

namespace cosim
{

using DeviceConnectors = std::vector< std::vector< std::vector< nest::ConnectorBase* > > >;

COSIM_REACH( DeviceTable, nest::ConnectionManager, nest::TargetTableDevices, target_table_devices_ )
COSIM_REACH( ToDevices, nest::TargetTableDevices, DeviceConnectors, target_to_devices_ )

namespace
{

//! Make room for `count` more, so that adding them cannot fail; vectors at least double, as they do by themselves.
template < typename Value >
void
make_room( std::vector< Value >& values, size_t count )
{
  const size_t needed = values.size() + count;
  if ( needed > values.capacity() )
  {
    values.reserve( std::max( needed, 2 * values.capacity() ) );
  }
}

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

//! A connector without connections: to NEST's tables it is empty.
class Tap : public nest::ConnectorBase
{
public:
  //! `before` is what the run had done when NEST's clock began.
  Tap( Spikes& spikes, const nest::Time& before )
    : spikes_( spikes )
    , before_( before )
  {
  }

  //! Only spikes come here: neurons send nothing else to all their devices.
  void
  send_to_all( const size_t, const std::vector< nest::ConnectorModel* >&, nest::Event& event ) override
  {
    const auto& spike = static_cast< const nest::SpikeEvent& >( event );
    // The same sum as in NEST's memory backend, so that times agree bit for bit.
    const double time_ms = ( before_ + spike.get_stamp() ).get_ms() - spike.get_offset();
    spikes_.append( time_ms, spike.get_sender_node_id(), spike.get_multiplicity() );
  }

  // clang-format off
  nest::synindex get_syn_id() const override { return nest::invalid_synindex; }
  size_t size() const override { return 0; }
  void get_synapse_status( size_t, size_t, Dictionary& ) const override {}
  void set_synapse_status( size_t, const Dictionary&, nest::ConnectorModel& ) override {}
  void get_connection( size_t, size_t, size_t, size_t, long, std::deque< nest::ConnectionID >& ) const override {}
  void get_connection_with_specified_targets( size_t, const std::vector< size_t >&, size_t, size_t, long,
    std::deque< nest::ConnectionID >& ) const override {}
  void get_all_connections( size_t, size_t, size_t, long, std::deque< nest::ConnectionID >& ) const override {}
  void get_source_lcids( size_t, size_t, std::vector< size_t >& ) const override {}
  void get_target_node_ids( size_t, size_t, const std::string&, std::vector< size_t >& ) const override {}
  size_t get_target_node_id( size_t, unsigned int ) const override { return nest::invalid_index; }
  size_t send( size_t, size_t, const std::vector< nest::ConnectorModel* >&, nest::Event& ) override { return 0; }
  void send_weight_event( size_t, unsigned int, nest::Event&, const nest::CommonSynapseProperties& ) override {}
  void trigger_update_weight( long, size_t, const std::vector< nest::spikecounter >&, double,
    const std::vector< nest::ConnectorModel* >& ) override {}
  void sort_connections( BlockVector< nest::Source >& ) override {}
  void set_source_has_more_targets( size_t, bool ) override {}
  size_t find_first_target( size_t, size_t, size_t ) const override { return nest::invalid_index; }
  size_t find_enabled_connection( size_t, size_t, size_t, size_t, const nest::SourceTable& ) const override
  { return nest::invalid_index; }
  void disable_connection( size_t ) override {}
  void remove_disabled_connections( size_t ) override {}
  // clang-format on

private:
  Spikes& spikes_;
  const nest::Time before_;
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
    auto& manager = nest::kernel().connection_manager;
    DeviceConnectors& connectors = ( manager.*reach( DeviceTable() ) ).*reach( ToDevices() );
    threads_.resize( std::max( threads_.size(), connectors.size() ) );  // a deque: taps of before stay valid
    for ( Spikes& spikes : threads_ )
    {
      spikes.clear();
    }
    if ( not goes_on )
    {
      forget();
      total_ = 0;
    }
    before_ = before;
    for ( const long* id = node_ids; id != node_ids + count; ++id )
    {
      const nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( *id );
      if ( not node->is_proxy() )
      {
        tap( *node, connectors.at( node->get_thread() ) );
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
  tap( const nest::Node& node, std::vector< std::vector< nest::ConnectorBase* > >& of_thread )
  {
    auto& of_node = of_thread.at( nest::kernel().vp_manager.node_id_to_lid( node.get_node_id() ) );
    if ( not node.has_proxies() or of_node.empty() )
    {
      throw nest::KernelException( "node " + std::to_string( node.get_node_id() ) + " is no neuron." );
    }
    if ( of_node.size() > nest::kernel().model_manager.get_num_connection_models() )
    {
      throw nest::KernelException( "node " + std::to_string( node.get_node_id() ) + " is recorded already." );
    }
    // Behind the places of all synapse models, where NEST finds it only when it sends or deletes.
    of_node.reserve( of_node.size() + 1 );
    of_node.push_back( new Tap( threads_[ node.get_thread() ], before_ ) );
  }

  std::deque< Spikes > threads_;
  Spikes collected_;
  std::vector< long > done_;
  long total_ = 0;
  nest::Time before_;
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

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Taps: how spikes of a neuron are noticed without a recorder and without connections.
//
// When a neuron spikes, NEST hands the spike to the neuron's connections to devices, one connector for each synapse
// model. A Tap is a connector of ours at the end of that list. A neuron may have several, each for another purpose.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "reach.h"
#include "run_time.h"

#include "connector_base.h"
#include "event.h"
#include "kernel_manager.h"
#include "node.h"
#include "target_table_devices.h"
#include "vp_manager_impl.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace cosim
{

using DeviceConnectors = std::vector< std::vector< std::vector< nest::ConnectorBase* > > >;

COSIM_REACH( DeviceTable, nest::ConnectionManager, nest::TargetTableDevices, target_table_devices_ )
COSIM_REACH( ToDevices, nest::TargetTableDevices, DeviceConnectors, target_to_devices_ )

//! A connector without connections: to NEST's tables it is empty. What it does with spikes is in send_to_all.
class Tap : public nest::ConnectorBase
{
public:
  //! In the run's time; the same sum as in NEST's memory backend, so that times agree bit for bit.
  static double
  time_ms( const nest::SpikeEvent& spike )
  {
    return ( run_before + spike.get_stamp() ).get_ms() - spike.get_offset();
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
};

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

//! The connectors to devices by thread and neuron.
inline DeviceConnectors&
connectors_to_devices()
{
  return ( nest::kernel().connection_manager.*reach( DeviceTable() ) ).*reach( ToDevices() );
}

//! Those of a neuron of this rank; the first ones are NEST's own, one for each synapse model.
inline std::vector< nest::ConnectorBase* >&
connectors_of( const nest::Node& node )
{
  const size_t place = nest::kernel().vp_manager.node_id_to_lid( node.get_node_id() );
  std::vector< nest::ConnectorBase* >& of_node = connectors_to_devices().at( node.get_thread() ).at( place );
  if ( not node.has_proxies() or of_node.empty() )
  {
    throw nest::KernelException( "node " + std::to_string( node.get_node_id() ) + " is no neuron." );
  }
  return of_node;
}

//! Whether a neuron of this rank has a tap of this kind.
template < typename OfKind >
bool
is_tapped( const nest::Node& node )
{
  const std::vector< nest::ConnectorBase* >& all = connectors_of( node );
  const size_t of_nest = std::min( all.size(), nest::kernel().model_manager.get_num_connection_models() );
  const auto is_such = []( const nest::ConnectorBase* each ) { return dynamic_cast< const OfKind* >( each ); };
  return std::any_of( all.begin() + static_cast< long >( of_nest ), all.end(), is_such );
}

//! Give a neuron of this rank a tap, which NEST owns until ResetKernel. After the last Create.
inline void
add_tap( const nest::Node& node, std::unique_ptr< Tap > tap )
{
  std::vector< nest::ConnectorBase* >& of_node = connectors_of( node );
  // Behind the places of all synapse models, where NEST finds it only when it sends or deletes.
  of_node.reserve( of_node.size() + 1 );
  of_node.push_back( tap.release() );
}

}  // namespace

}  // namespace cosim

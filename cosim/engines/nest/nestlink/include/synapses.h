// SPDX-License-Identifier: GPL-2.0-or-later
//
// The synapses in NEST's tables, by their sources and targets, and where their weights lie.
//
// Of the models below a weight is reached in its place, in some ns. Of any other it is in the synapse's status, which
// takes some us.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "reach.h"

#include "connection_manager.h"
#include "connector_base_impl.h"
#include "connector_model_impl.h"
#include "kernel_manager.h"
#include "source_table.h"
#include "static_synapse.h"
#include "stdp_pl_synapse_hom.h"
#include "stdp_synapse.h"
#include "stdp_synapse_hom.h"
#include "stdp_triplet_synapse.h"
#include "target_identifier.h"
#include "tsodyks_synapse.h"
#include "vogels_sprekeler_synapse.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

namespace cosim
{

using AtPointer = nest::TargetIdentifierPtrRport;
using AtIndex = nest::TargetIdentifierIndex;
using Fixed = nest::static_synapse< AtPointer >;
using FixedHpc = nest::static_synapse< AtIndex >;
using Stdp = nest::stdp_synapse< AtPointer >;
using StdpHpc = nest::stdp_synapse< AtIndex >;
using StdpHom = nest::stdp_synapse_hom< AtPointer >;
using StdpPl = nest::stdp_pl_synapse_hom< AtPointer >;
using StdpPlHpc = nest::stdp_pl_synapse_hom< AtIndex >;
using Triplet = nest::stdp_triplet_synapse< AtPointer >;
using Tsodyks = nest::tsodyks_synapse< AtPointer >;
using Vogels = nest::vogels_sprekeler_synapse< AtPointer >;

using OfThreads = std::vector< std::vector< nest::ConnectorBase* > >;

COSIM_REACH( Synapses, nest::ConnectionManager, OfThreads, connections_ )
COSIM_REACH( SourcesOfSynapses, nest::ConnectionManager, nest::SourceTable, source_table_ )

COSIM_REACH( FixedStore, nest::Connector< Fixed >, BlockVector< Fixed >, C_ )
COSIM_REACH( FixedHpcStore, nest::Connector< FixedHpc >, BlockVector< FixedHpc >, C_ )
COSIM_REACH( StdpStore, nest::Connector< Stdp >, BlockVector< Stdp >, C_ )
COSIM_REACH( StdpHpcStore, nest::Connector< StdpHpc >, BlockVector< StdpHpc >, C_ )
COSIM_REACH( StdpHomStore, nest::Connector< StdpHom >, BlockVector< StdpHom >, C_ )
COSIM_REACH( StdpPlStore, nest::Connector< StdpPl >, BlockVector< StdpPl >, C_ )
COSIM_REACH( StdpPlHpcStore, nest::Connector< StdpPlHpc >, BlockVector< StdpPlHpc >, C_ )
COSIM_REACH( TripletStore, nest::Connector< Triplet >, BlockVector< Triplet >, C_ )
COSIM_REACH( TsodyksStore, nest::Connector< Tsodyks >, BlockVector< Tsodyks >, C_ )
COSIM_REACH( VogelsStore, nest::Connector< Vogels >, BlockVector< Vogels >, C_ )

COSIM_REACH( FixedWeight, nest::static_synapse< AtPointer >, double, weight_ )
COSIM_REACH( FixedHpcWeight, nest::static_synapse< AtIndex >, double, weight_ )
COSIM_REACH( StdpWeight, nest::stdp_synapse< AtPointer >, double, weight_ )
COSIM_REACH( StdpHpcWeight, nest::stdp_synapse< AtIndex >, double, weight_ )
COSIM_REACH( StdpHomWeight, nest::stdp_synapse_hom< AtPointer >, double, weight_ )
COSIM_REACH( StdpPlWeight, nest::stdp_pl_synapse_hom< AtPointer >, double, weight_ )
COSIM_REACH( StdpPlHpcWeight, nest::stdp_pl_synapse_hom< AtIndex >, double, weight_ )
COSIM_REACH( TripletWeight, nest::stdp_triplet_synapse< AtPointer >, double, weight_ )
COSIM_REACH( TsodyksWeight, nest::tsodyks_synapse< AtPointer >, double, weight_ )
COSIM_REACH( VogelsWeight, nest::vogels_sprekeler_synapse< AtPointer >, double, weight_ )

namespace
{

//! Where the weight of a synapse lies; null if it is of another model.
template < typename Synapse, typename Store, typename Weight >
double*
place_in( nest::ConnectorBase& connector, size_t synapse )
{
  auto* of_model = dynamic_cast< nest::Connector< Synapse >* >( &connector );
  return of_model ? &( ( of_model->*reach( Store() ) )[ synapse ].*reach( Weight() ) ) : nullptr;
}

using FindPlace = double* ( * ) ( nest::ConnectorBase&, size_t );

constexpr FindPlace KNOWN_PLACES[] = {
  place_in< Fixed, FixedStore, FixedWeight >,
  place_in< FixedHpc, FixedHpcStore, FixedHpcWeight >,
  place_in< Stdp, StdpStore, StdpWeight >,
  place_in< StdpHpc, StdpHpcStore, StdpHpcWeight >,
  place_in< StdpHom, StdpHomStore, StdpHomWeight >,
  place_in< StdpPl, StdpPlStore, StdpPlWeight >,
  place_in< StdpPlHpc, StdpPlHpcStore, StdpPlHpcWeight >,
  place_in< Triplet, TripletStore, TripletWeight >,
  place_in< Tsodyks, TsodyksStore, TsodyksWeight >,
  place_in< Vogels, VogelsStore, VogelsWeight >,
};

//! How weights of a connector that is not empty are found; null for those of an unknown model.
inline FindPlace
find_place_in( nest::ConnectorBase& connector )
{
  const auto* known = std::find_if( std::begin( KNOWN_PLACES ),
    std::end( KNOWN_PLACES ),
    [ & ]( FindPlace find ) { return find( connector, 0 ); } );
  return known == std::end( KNOWN_PLACES ) ? nullptr : *known;
}

//! Some nodes, by id.
class NodeSet
{
public:
  NodeSet() = default;

  NodeSet( const int64_t* ids, long count )
    : ids_( ids, ids + count )
    , is_in_( nest::kernel().node_manager.size() + 1 )
  {
    for ( const int64_t id : ids_ )
    {
      is_in_.at( id ) = true;
    }
  }

  bool
  has( size_t id ) const
  {
    return is_in_[ id ];
  }

  const std::vector< int64_t >&
  ids() const
  {
    return ids_;
  }

private:
  std::vector< int64_t > ids_;
  std::vector< bool > is_in_;
};

}  // namespace

}  // namespace cosim

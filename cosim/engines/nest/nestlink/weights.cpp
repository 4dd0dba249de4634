// SPDX-License-Identifier: GPL-2.0-or-later
//
// Weights of the synapses between some nodes, scaled between two steps. Of the models below a weight is changed in its
// place, in some ns; of any other it is read and set through the synapse's status, in some us.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"
#include "threads.h"

#include "connection_manager.h"
#include "connector_base_impl.h"
#include "connector_model_impl.h"
#include "kernel_manager.h"
#include "source_table.h"
#include "static_synapse.h"
#include "stdp_pl_synapse_hom.h"
#include "stdp_synapse.h"
#include "target_identifier.h"
#include "target_table_devices.h"
#include "tsodyks_synapse.h"
#include "vp_manager_impl.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace cosim
{

using AtPointer = nest::TargetIdentifierPtrRport;
using AtIndex = nest::TargetIdentifierIndex;
using Fixed = nest::static_synapse< AtPointer >;
using FixedHpc = nest::static_synapse< AtIndex >;
using Stdp = nest::stdp_synapse< AtPointer >;
using StdpHpc = nest::stdp_synapse< AtIndex >;
using StdpPl = nest::stdp_pl_synapse_hom< AtPointer >;
using StdpPlHpc = nest::stdp_pl_synapse_hom< AtIndex >;
using Tsodyks = nest::tsodyks_synapse< AtPointer >;

using OfThreads = std::vector< std::vector< nest::ConnectorBase* > >;
using OfDevices = std::vector< std::vector< std::vector< nest::ConnectorBase* > > >;

COSIM_REACH( Synapses, nest::ConnectionManager, OfThreads, connections_ )
COSIM_REACH( SourcesOfSynapses, nest::ConnectionManager, nest::SourceTable, source_table_ )
COSIM_REACH( DevicesOfSynapses, nest::ConnectionManager, nest::TargetTableDevices, target_table_devices_ )
COSIM_REACH( FromDevices, nest::TargetTableDevices, OfDevices, target_from_devices_ )

COSIM_REACH( FixedStore, nest::Connector< Fixed >, BlockVector< Fixed >, C_ )
COSIM_REACH( FixedHpcStore, nest::Connector< FixedHpc >, BlockVector< FixedHpc >, C_ )
COSIM_REACH( StdpStore, nest::Connector< Stdp >, BlockVector< Stdp >, C_ )
COSIM_REACH( StdpHpcStore, nest::Connector< StdpHpc >, BlockVector< StdpHpc >, C_ )
COSIM_REACH( StdpPlStore, nest::Connector< StdpPl >, BlockVector< StdpPl >, C_ )
COSIM_REACH( StdpPlHpcStore, nest::Connector< StdpPlHpc >, BlockVector< StdpPlHpc >, C_ )
COSIM_REACH( TsodyksStore, nest::Connector< Tsodyks >, BlockVector< Tsodyks >, C_ )

COSIM_REACH( FixedWeight, nest::static_synapse< AtPointer >, double, weight_ )
COSIM_REACH( FixedHpcWeight, nest::static_synapse< AtIndex >, double, weight_ )
COSIM_REACH( StdpWeight, nest::stdp_synapse< AtPointer >, double, weight_ )
COSIM_REACH( StdpHpcWeight, nest::stdp_synapse< AtIndex >, double, weight_ )
COSIM_REACH( StdpPlWeight, nest::stdp_pl_synapse_hom< AtPointer >, double, weight_ )
COSIM_REACH( StdpPlHpcWeight, nest::stdp_pl_synapse_hom< AtIndex >, double, weight_ )
COSIM_REACH( TsodyksWeight, nest::tsodyks_synapse< AtPointer >, double, weight_ )

namespace
{

//! The weights of the synapses of one connector.
class Weights
{
public:
  virtual ~Weights() = default;
  virtual double get( size_t synapse ) const = 0;
  virtual void set( size_t synapse, double weight ) = 0;
};

//! Weights that are reached in their places.
template < typename Synapse, typename Store, typename Weight >
class InPlace : public Weights
{
public:
  explicit InPlace( nest::Connector< Synapse >& connector )
    : synapses_( connector.*reach( Store() ) )
  {
  }

  double
  get( size_t synapse ) const override
  {
    return synapses_[ synapse ].*reach( Weight() );
  }

  void
  set( size_t synapse, double weight ) override
  {
    synapses_[ synapse ].*reach( Weight() ) = weight;
  }

private:
  BlockVector< Synapse >& synapses_;
};

//! Weights in the status of synapses; setting throws for a model with one weight for all.
class InStatus : public Weights
{
public:
  InStatus( nest::ConnectorBase& connector, size_t thread )
    : connector_( connector )
    , thread_( thread )
  {
  }

  double
  get( size_t synapse ) const override
  {
    Dictionary status;
    connector_.get_synapse_status( thread_, synapse, status );
    if ( not status.known( nest::names::weight ) )
    {
      throw nest::KernelException( model().get_name() + " has no weights that can be scaled." );
    }
    return status.get< double >( nest::names::weight );
  }

  void
  set( size_t synapse, double weight ) override
  {
    Dictionary changes;
    changes[ nest::names::weight ] = weight;
    changes.init_access_flags( true );
    connector_.set_synapse_status( synapse, changes, model() );
    if ( not changes.has_been_accessed( nest::names::weight ) )
    {
      throw nest::KernelException( model().get_name() + " has no weights that can be scaled." );
    }
  }

private:
  nest::ConnectorModel&
  model() const
  {
    return nest::kernel().model_manager.get_connection_model( connector_.get_syn_id(), thread_ );
  }

  nest::ConnectorBase& connector_;
  size_t thread_;
};

template < typename Synapse, typename Store, typename Weight >
std::unique_ptr< Weights >
in_place( nest::ConnectorBase& connector )
{
  auto* of_model = dynamic_cast< nest::Connector< Synapse >* >( &connector );
  return of_model ? std::make_unique< InPlace< Synapse, Store, Weight > >( *of_model ) : nullptr;
}

std::unique_ptr< Weights >
weights_of( nest::ConnectorBase& connector, size_t thread )
{
  for ( auto try_model : { in_place< Fixed, FixedStore, FixedWeight >,
          in_place< FixedHpc, FixedHpcStore, FixedHpcWeight >,
          in_place< Stdp, StdpStore, StdpWeight >,
          in_place< StdpHpc, StdpHpcStore, StdpHpcWeight >,
          in_place< StdpPl, StdpPlStore, StdpPlWeight >,
          in_place< StdpPlHpc, StdpPlHpcStore, StdpPlHpcWeight >,
          in_place< Tsodyks, TsodyksStore, TsodyksWeight > } )
  {
    if ( auto weights = try_model( connector ) )
    {
      return weights;
    }
  }
  return std::make_unique< InStatus >( connector, thread );
}

//! Some nodes, by id.
class Chosen
{
public:
  Chosen() = default;

  Chosen( const long* node_ids, long count )
    : ids_( node_ids, node_ids + count )
    , is_in_( nest::kernel().node_manager.size() + 1 )
  {
    for ( const long id : ids_ )
    {
      is_in_.at( id ) = true;
    }
  }

  bool
  has( size_t node_id ) const
  {
    return is_in_[ node_id ];
  }

  const std::vector< long >&
  ids() const
  {
    return ids_;
  }

private:
  std::vector< long > ids_;
  std::vector< bool > is_in_;
};

//! The synapses of this rank between some sources and some targets, which were scaled last, with their weights before.
class Scaling
{
public:
  //! Returns how many there are. Where one cannot be scaled, all have their weights again.
  long
  scale( Chosen sources, Chosen targets, double factor )
  {
    forget();
    if ( nest::kernel().connection_manager.is_source_table_cleared() )
    {
      throw nest::KernelException( "keep_source_table = False: NEST does not know the sources of synapses any more." );
    }
    sources_ = std::move( sources );
    targets_ = std::move( targets );
    before_.resize( nest::kernel().vp_manager.get_num_threads() );
    try
    {
      on_all_threads( [ & ]( size_t thread ) { scale( thread, factor ); } );
    }
    catch ( ... )
    {
      undo();
      throw;
    }
    long scaled = 0;
    for ( const auto& of_thread : before_ )
    {
      scaled += static_cast< long >( of_thread.size() );
    }
    return scaled;
  }

  //! Give the synapses that were scaled last their weights of before.
  void
  undo()
  {
    if ( not before_.empty() )
    {
      on_all_threads( [ & ]( size_t thread ) {
        auto before = before_[ thread ].begin();
        visit( thread, [ & ]( Weights& weights, size_t synapse ) {
          if ( before != before_[ thread ].end() )
          {
            weights.set( synapse, *before++ );
          }
        } );
      } );
    }
    forget();
  }

  void
  forget()
  {
    before_.clear();
    before_.shrink_to_fit();
  }

private:
  void
  scale( size_t thread, double factor )
  {
    auto& before = before_[ thread ];
    visit( thread, [ & ]( Weights& weights, size_t synapse ) {
      const double weight = weights.get( synapse );
      if ( not std::isfinite( weight * factor ) )
      {
        throw nest::KernelException( "a weight of " + std::to_string( weight ) + " would not be finite any more." );
      }
      before.push_back( weight );
      try
      {
        weights.set( synapse, weight * factor );
      }
      catch ( ... )
      {
        before.pop_back();
        throw;
      }
    } );
  }

  //! Call `take( weights, synapse )` for all chosen synapses of a thread, in the same order each time.
  template < typename Take >
  void
  visit( size_t thread, Take take )
  {
    auto& manager = nest::kernel().connection_manager;
    const auto& table = manager.*reach( SourcesOfSynapses() );
    for ( nest::ConnectorBase* connector : ( manager.*reach( Synapses() ) )[ thread ] )
    {
      if ( connector )
      {
        const nest::synindex model = connector->get_syn_id();
        visit( *connector, thread, take, [ & ]( size_t synapse ) {
          return sources_.has( table.get_node_id( thread, model, synapse ) );
        } );
      }
    }
    auto& from_devices = ( manager.*reach( DevicesOfSynapses() ) ).*reach( FromDevices() );
    for ( const long id : sources_.ids() )
    {
      const nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( id, thread );
      if ( not node->is_proxy() and not node->has_proxies() )
      {
        for ( nest::ConnectorBase* connector : from_devices.at( thread ).at( node->get_local_device_id() ) )
        {
          if ( connector )
          {
            visit( *connector, thread, take, []( size_t ) { return true; } );
          }
        }
      }
    }
  }

  template < typename Take, typename IsFrom >
  void
  visit( nest::ConnectorBase& connector, size_t thread, Take take, IsFrom is_from )
  {
    const auto weights = weights_of( connector, thread );
    for ( size_t synapse = 0; synapse < connector.size(); ++synapse )
    {
      if ( is_from( synapse ) and targets_.has( connector.get_target_node_id( thread, synapse ) ) )
      {
        take( *weights, synapse );
      }
    }
  }

  Chosen sources_, targets_;
  std::vector< std::vector< double > > before_;
};

Scaling scaling;

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Multiply the weights of the synapses between some nodes by a factor; `scaled` is their number on this rank.
int
nestlink_scale_weights( const long* sources,
  long source_count,
  const long* targets,
  long target_count,
  double factor,
  long* scaled )
{
  return guarded(
    [ & ] { *scaled = scaling.scale( Chosen( sources, source_count ), Chosen( targets, target_count ), factor ); } );
}

//! Take the last scaling back, once. Before the next Connect or ResetKernel.
int
nestlink_undo_scaling()
{
  return guarded( [] { scaling.undo(); } );
}

//! Free what is kept for undoing. It must not be undone after ResetKernel.
int
nestlink_forget_scaling()
{
  return guarded( [] { scaling.forget(); } );
}

}  // extern "C"

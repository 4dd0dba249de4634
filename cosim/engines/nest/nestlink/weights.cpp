// SPDX-License-Identifier: GPL-2.0-or-later
//
// Weights of the synapses between some nodes, scaled between two steps.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "synapses.h"
#include "threads.h"

#include "target_table_devices.h"
#include "vp_manager_impl.h"

#include <cmath>
#include <string>
#include <vector>

namespace cosim
{

using OfDevices = std::vector< std::vector< std::vector< nest::ConnectorBase* > > >;

COSIM_REACH( DevicesOfSynapses, nest::ConnectionManager, nest::TargetTableDevices, target_table_devices_ )
COSIM_REACH( FromDevices, nest::TargetTableDevices, OfDevices, target_from_devices_ )

namespace
{

//! The weights of the synapses of one connector that is not empty, in their places or in the status of synapses.
class Weights
{
public:
  Weights( nest::ConnectorBase& connector, size_t thread )
    : connector_( connector )
    , thread_( thread )
    , find_place_( find_place_in( connector ) )
  {
  }

  double
  get( size_t synapse ) const
  {
    return find_place_ ? *find_place_( connector_, synapse ) : get_in_status( synapse );
  }

  //! Throws for a model with one weight for all.
  void
  set( size_t synapse, double weight )
  {
    if ( find_place_ )
    {
      *find_place_( connector_, synapse ) = weight;
    }
    else
    {
      set_in_status( synapse, weight );
    }
  }

private:
  double
  get_in_status( size_t synapse ) const
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
  set_in_status( size_t synapse, double weight )
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

  nest::ConnectorModel&
  model() const
  {
    return nest::kernel().model_manager.get_connection_model( connector_.get_syn_id(), thread_ );
  }

  nest::ConnectorBase& connector_;
  size_t thread_;
  FindPlace find_place_;
};

//! The synapses of this rank between some sources and some targets, which were scaled last, with their weights before.
class Scaling
{
public:
  //! Returns how many there are. Where one cannot be scaled, all have their weights again.
  long
  scale( NodeSet sources, NodeSet targets, double factor )
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
      if ( connector and connector->size() )
      {
        const nest::synindex model = connector->get_syn_id();
        visit( *connector, thread, take, [ & ]( size_t synapse ) {
          return sources_.has( table.get_node_id( thread, model, synapse ) );
        } );
      }
    }
    auto& from_devices = ( manager.*reach( DevicesOfSynapses() ) ).*reach( FromDevices() );
    for ( const int64_t id : sources_.ids() )
    {
      const nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( id, thread );
      if ( not node->is_proxy() and not node->has_proxies() )
      {
        for ( nest::ConnectorBase* connector : from_devices.at( thread ).at( node->get_local_device_id() ) )
        {
          if ( connector and connector->size() )
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
    Weights weights( connector, thread );
    for ( size_t synapse = 0; synapse < connector.size(); ++synapse )
    {
      if ( is_from( synapse ) and targets_.has( connector.get_target_node_id( thread, synapse ) ) )
      {
        take( weights, synapse );
      }
    }
  }

  NodeSet sources_, targets_;
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
    [ & ] { *scaled = scaling.scale( NodeSet( sources, source_count ), NodeSet( targets, target_count ), factor ); } );
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

// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a synapse costs, seen with the motor cortex on 0.5 mm (16 million lognormal synapses, AMD EPYC, one
// thread): 570 ns by NEST's own spatial rule, 90 ns here. Making each one by NEST's connect, which checks
// receptor, signal and delay by virtual calls, took 70 ns more than copying. Touching new memory before NEST
// does brought two threads from 1.7 s to 0.85 s and left one thread at 1.4 s.

#include "synapse_writer.h"

#include "reach.h"

#include "connection_manager.h"
#include "connector_base_impl.h"
#include "connector_model_impl.h"
#include "kernel_manager.h"
#include "static_synapse.h"
#include "target_identifier.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace cosim
{

using Static = nest::static_synapse< nest::TargetIdentifierPtrRport >;
using StaticHpc = nest::static_synapse< nest::TargetIdentifierIndex >;

using Connectors = std::vector< std::vector< nest::ConnectorBase* > >;
using Count = void( size_t, nest::synindex );

COSIM_REACH( Connections, nest::ConnectionManager, Connectors, connections_ )
COSIM_REACH( TableOfSources, nest::ConnectionManager, nest::SourceTable, source_table_ )
COSIM_REACH( Increase, nest::ConnectionManager, Count, increase_connection_count )
COSIM_REACH( StoredStatic, nest::Connector< Static >, BlockVector< Static >, C_ )
COSIM_REACH( StoredStaticHpc, nest::Connector< StaticHpc >, BlockVector< StaticHpc >, C_ )

SynapseWriter::SynapseWriter( const SynapseSpec& spec, size_t thread )
  : thread_( thread )
  , model_( nest::kernel().model_manager.get_synapse_model_id( spec.model ) )
  , delay_ms_( spec.delay_ms )
{
  const auto& model = nest::kernel().model_manager.get_connection_model( model_, thread );
  if ( model.has_property( nest::ConnectionModelProperties::REQUIRES_SYMMETRIC ) )
  {
    const std::string name = spec.model;
    throw std::invalid_argument( name + " joins both ways, which nestlink does not do: use Connect" );
  }
  if ( spec.receptor != 0 )
  {
    parameters_[ nest::names::receptor_type ] = spec.receptor;
  }
}

void
SynapseWriter::add( size_t source, nest::Node& target, double weight )
{
  auto& manager = nest::kernel().connection_manager;
  manager.connect( source, &target, thread_, model_, parameters_, delay_ms_, weight );
}

namespace
{

//! For synapses that keep no books on their target: the first one onto a target goes through NEST with all
//! its checks, the others are copies of it with other sources and weights.
template < typename Synapse, typename Stored >
class CopyingWriter : public SynapseWriter
{
public:
  using SynapseWriter::SynapseWriter;

  void
  add( size_t source, nest::Node& target, double weight ) override
  {
    if ( &target != target_ )
    {
      SynapseWriter::add( source, target, weight );
      remember( target );
      return;
    }
    if ( ++size_ % max_block_size == 0 )
    {
      touch_next_block();
    }
    synapse_.set_weight( weight );
    connector_->push_back( synapse_ );
    source_table_->add_source( thread_, model_, source, true );
    ( manager_.*reach( Increase() ) )( thread_, model_ );
  }

private:
  void
  remember( nest::Node& target )
  {
    target_ = &target;
    source_table_ = &( manager_.*reach( TableOfSources() ) );
    auto* connector = ( manager_.*reach( Connections() ) )[ thread_ ][ model_ ];
    connector_ = static_cast< nest::Connector< Synapse >* >( connector );
    size_ = connector_->size();
    synapse_ = ( connector_->*reach( Stored() ) )[ size_ - 1 ];
  }

  //! Write to the memory that the next block will get. Bit fields read before they write, and a page that is
  //! first read costs a second page fault and an interrupt of all other threads.
  static void
  touch_next_block()
  {
    constexpr size_t page = 4096, bytes = max_block_size * sizeof( Synapse );
    auto* block = static_cast< volatile char* >( std::malloc( bytes ) );
    for ( size_t at = 0; block and at < bytes; at += page )
    {
      block[ at ] = 0;
    }
    std::free( const_cast< char* >( block ) );
  }

  nest::ConnectionManager& manager_ = nest::kernel().connection_manager;
  nest::SourceTable* source_table_ = nullptr;
  nest::Connector< Synapse >* connector_ = nullptr;
  nest::Node* target_ = nullptr;
  size_t size_ = 0;
  Synapse synapse_;
};

}  // namespace

std::unique_ptr< SynapseWriter >
make_writer( const SynapseSpec& spec, size_t thread, bool alike )
{
  auto writer = std::make_unique< SynapseWriter >( spec, thread );
  auto& models = nest::kernel().model_manager;
  const auto* model = &models.get_connection_model( models.get_synapse_model_id( spec.model ), thread );
  if ( alike and dynamic_cast< const nest::GenericConnectorModel< Static >* >( model ) )
  {
    return std::make_unique< CopyingWriter< Static, StoredStatic > >( spec, thread );
  }
  if ( alike and dynamic_cast< const nest::GenericConnectorModel< StaticHpc >* >( model ) )
  {
    return std::make_unique< CopyingWriter< StaticHpc, StoredStaticHpc > >( spec, thread );
  }
  return writer;
}

}  // namespace cosim

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Parameters of neurons that are changed between two steps, and read. Every call is for neurons of this rank.
//
// What a neuron takes over from its parameters only at Prepare (propagators, refractory steps) acts after its
// pre_run_hook, which the kernel calls there and which may be called again, see sources.h.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"

#include "exceptions.h"
#include "kernel_manager.h"
#include "model.h"
#include "modelrange_manager.h"
#include "node.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <variant>

namespace cosim
{
namespace
{

//! Names and, for each of them, a row with a value for each of some nodes; the layout is shared with stepping.py.
struct Parameters
{
  const char* const* names;
  long count;
};

nest::Node&
own_node( long node_id )
{
  nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( node_id );
  if ( node->is_proxy() )
  {
    throw nest::KernelException( "node " + std::to_string( node_id ) + " is on another rank." );
  }
  return *node;
}

//! Whether a value of a status is a number; writes it to `number`.
bool
is_number( const any_type& value, double& number )
{
  return std::visit(
    [ & ]( const auto& held ) {
      if constexpr ( std::is_arithmetic_v< std::decay_t< decltype( held ) > > )
      {
        number = static_cast< double >( held );
        return true;
      }
      return false;
    },
    value );
}

//! The number that stands in a status by this name; throws where there is none.
double
number_of( const Dictionary& status, const std::string& name, const std::string& owner )
{
  double number = 0;
  if ( not status.known( name ) or not is_number( status.at( name ), number ) )
  {
    throw nest::KernelException( owner + " has no number '" + name + "'." );
  }
  return number;
}

//! A number in the type that a status has by this name: NEST takes no 1.0 for a whole number or a truth value.
any_type
as_in( const Dictionary& status, const std::string& name, double number )
{
  const any_type& known = status.at( name );
  if ( std::holds_alternative< double >( known ) )
  {
    return number;
  }
  if ( std::trunc( number ) != number or ( std::holds_alternative< bool >( known ) and number != 0 and number != 1 ) )
  {
    throw nest::BadProperty(
      name + " must be " + ( std::holds_alternative< bool >( known ) ? "0 or 1." : "a whole number." ) );
  }
  return std::holds_alternative< bool >( known ) ? any_type( number != 0 ) : any_type( static_cast< long >( number ) );
}

//! The values that are in column `node` of a table of `nodes` columns, as NEST takes them.
Dictionary
column( const Parameters& parameters, const double* values, long node, long nodes, const Dictionary& status )
{
  Dictionary found;
  for ( long k = 0; k < parameters.count; ++k )
  {
    const std::string name = parameters.names[ k ];
    number_of( status, name, "the model" );
    found[ name ] = as_in( status, name, values[ k * nodes + node ] );
  }
  return found;
}

std::unique_ptr< nest::Model >
copy_of_model( long node_id )
{
  const nest::Model* model = nest::kernel().modelrange_manager.get_model_of_node_id( node_id );
  return std::unique_ptr< nest::Model >( model->clone( model->get_name() ) );
}

//! Whether a model takes a number by this name, tried on a copy of it with the value that it has.
bool
is_settable( nest::Model& model, const std::string& name, const any_type& value )
{
  Dictionary alone;
  alone[ name ] = value;
  alone.init_access_flags();
  try
  {
    model.set_status( alone );
  }
  catch ( const nest::KernelException& )
  {
    return false;
  }
  return alone.has_been_accessed( name ) or name == nest::names::frozen;
}

//! The names of all numbers that the model of a node takes.
std::set< std::string >
settable( long node_id )
{
  std::set< std::string > names;
  const auto model = copy_of_model( node_id );
  const Dictionary status = model->get_status();
  for ( const auto& [ name, entry ] : status )
  {
    double number;
    if ( is_number( entry.item, number ) and is_settable( *model, name, entry.item ) )
    {
      names.insert( name );
    }
  }
  return names;
}

//! The names that the models of all of these nodes take; every rank knows the models of all nodes.
std::set< std::string >
settable_of_all( const long* node_ids, long count )
{
  std::set< std::string > common;
  const nest::Model* last = nullptr;
  for ( const long* id = node_ids; id != node_ids + count; ++id )
  {
    const nest::Model* model = nest::kernel().modelrange_manager.get_model_of_node_id( *id );
    if ( model != last )
    {
      const std::set< std::string > names = settable( *id );
      std::erase_if( common, [ & ]( const std::string& name ) { return not names.contains( name ); } );
      common = last ? common : names;
      last = model;
    }
  }
  return common;
}

//! Tries values on copies of models, so that what NEST refuses has changed no neuron.
class Trial
{
public:
  //! Throws what NEST would throw if a node with this status were given these values.
  void
  check( const Dictionary& changes, const Dictionary& status, long node_id )
  {
    const nest::Model* model = nest::kernel().modelrange_manager.get_model_of_node_id( node_id );
    if ( model != model_ )
    {
      copy_ = copy_of_model( node_id );
      model_ = model;
    }
    try
    {
      copy_->set_status( status );
    }
    catch ( const nest::KernelException& )
    {
      return;  // a model that does not take what it says of itself; what it takes shows when it is set
    }
    copy_->set_status( changes );
  }

private:
  std::unique_ptr< nest::Model > copy_;
  const nest::Model* model_ = nullptr;
};

Dictionary
status_of( const nest::Node& node )
{
  Dictionary status;
  node.get_status( status );
  status[ nest::names::frozen ] = node.is_frozen();
  return status;
}

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Which of these neurons are on this rank: 1, else 0.
int
nestlink_are_own( const long* node_ids, long count, char* own )
{
  return guarded( [ & ] {
    for ( long i = 0; i < count; ++i )
    {
      own[ i ] = not nest::kernel().node_manager.get_node_or_proxy( node_ids[ i ] )->is_proxy();
    }
  } );
}

//! Write the names of all numbers that can be set of all of these nodes, of any rank, with a blank after each.
int
nestlink_settable( const long* node_ids, long count, char* names, long size )
{
  return guarded( [ & ] {
    std::string found;
    for ( const std::string& name : settable_of_all( node_ids, count ) )
    {
      found += name + " ";
    }
    if ( static_cast< long >( found.size() ) >= size )
    {
      throw nest::KernelException( "a model has too many parameters." );
    }
    std::memcpy( names, found.c_str(), found.size() + 1 );
  } );
}

//! Write what nodes of this rank have, a row for each name.
int
nestlink_get_parameters( const long* node_ids, long nodes, const char* const* names, long count, double* values )
{
  return guarded( [ & ] {
    for ( long i = 0; i < nodes; ++i )
    {
      const nest::Node& node = own_node( node_ids[ i ] );
      const Dictionary status = status_of( node );
      for ( long k = 0; k < count; ++k )
      {
        values[ k * nodes + i ] = number_of( status, names[ k ], node.get_name() );
      }
    }
  } );
}

//! Fail if NEST would not take these values, a row for each name; changes nothing.
int
nestlink_check_parameters( const long* node_ids,
  long nodes,
  const char* const* names,
  long count,
  const double* values )
{
  return guarded( [ & ] {
    Trial trial;
    for ( long i = 0; i < nodes; ++i )
    {
      const Dictionary status = status_of( own_node( node_ids[ i ] ) );
      trial.check( column( { names, count }, values, i, nodes, status ), status, node_ids[ i ] );
    }
  } );
}

//! Set parameters of nodes of this rank, a row for each name. Some act only after the nodes' pre_run_hook.
int
nestlink_set_parameters( const long* node_ids,
  long nodes,
  const char* const* names,
  long count,
  const double* values )
{
  return guarded( [ & ] {
    for ( long i = 0; i < nodes; ++i )
    {
      const nest::Node& node = own_node( node_ids[ i ] );
      const Dictionary changes = column( { names, count }, values, i, nodes, status_of( node ) );
      nest::kernel().node_manager.set_status( node_ids[ i ], changes );
    }
  } );
}

//! Call the pre_run_hook of nodes, of devices that of all copies on this rank. Inside Prepare ... Cleanup.
int
nestlink_pre_run_hook( const long* node_ids, long count )
{
  return guarded( [ & ] {
    const size_t threads = nest::kernel().vp_manager.get_num_threads();
    for ( const long* id = node_ids; id != node_ids + count; ++id )
    {
      for ( size_t thread = 0; thread < threads; ++thread )
      {
        nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( *id, thread );
        if ( not node->is_proxy() )
        {
          node->pre_run_hook();
        }
      }
    }
  } );
}

}  // extern "C"

// SPDX-License-Identifier: GPL-2.0-or-later
//
// One number of the status of a node, by the name that it has in PyNEST.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "exceptions.h"
#include "node.h"

#include <string>
#include <variant>

namespace cosim
{

//! A parameter or a variable of a node; throws where the node has no number of this name.
inline double
number_in_status( const nest::Node& node, const std::string& name )
{
  Dictionary status;
  node.get_status( status );
  if ( status.known( name ) )
  {
    const any_type& value = status.at( name );
    if ( const double* number = std::get_if< double >( &value ) )
    {
      return *number;
    }
    if ( const long* number = std::get_if< long >( &value ) )
    {
      return static_cast< double >( *number );
    }
  }
  throw nest::BadParameter(
    "node " + std::to_string( node.get_node_id() ) + ", " + node.get_name() + ", has no number '" + name + "'." );
}

}  // namespace cosim

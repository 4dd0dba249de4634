// SPDX-License-Identifier: GPL-2.0-or-later
//
// Values of sources, such as the rate of a Poisson generator or the amplitude of a current, set through pointers
// that are looked up once; these are valid from Prepare on, until the next Create or ResetKernel.
//
// A generator takes some of its parameters over in its pre_run_hook, which the kernel calls at Prepare only: the rate
// of a Poisson generator set through PyNEST inside Prepare ... Cleanup reads back as it was set and changes nothing.
// The hook of every model may be called again: NEST does so at each Prepare.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "status.h"

#include "kernel_manager.h"
#include "node.h"

#include <limits>
#include <string>
#include <vector>

namespace cosim
{

namespace
{

//! Parameters of nodes, each node with its copies on the threads of this rank, and the values that they have.
class Sources
{
public:
  Sources( const long* node_ids, const char* const* parameters, long count )
  {
    for ( long i = 0; i < count; ++i )
    {
      // A node without a parameter gets its values elsewhere; here it is known as a source alone.
      const bool is_set = *parameters[ i ] != '\0';
      sources_.push_back( { is_set ? copies_of( node_ids[ i ] ) : std::vector< nest::Node* >(),
        parameters[ i ],
        std::numeric_limits< double >::quiet_NaN() } );
      Source& source = sources_.back();
      if ( not source.copies.empty() )
      {
        source.value = number_in_status( *source.copies.front(), source.parameter );
      }
    }
  }

  void
  set( const double* values )
  {
    for ( Source& source : sources_ )
    {
      const double value = *values++;
      if ( value != source.value )
      {
        Dictionary parameters;
        parameters[ source.parameter ] = value;
        for ( nest::Node* node : source.copies )
        {
          node->set_status( parameters );
          node->pre_run_hook();
        }
        source.value = value;
      }
    }
  }

private:
  struct Source
  {
    std::vector< nest::Node* > copies;
    std::string parameter;
    double value;
  };

  //! A device is on every thread; a neuron is on one, and what others have in its place takes no values.
  static std::vector< nest::Node* >
  copies_of( long node_id )
  {
    std::vector< nest::Node* > copies;
    const size_t threads = nest::kernel().vp_manager.get_num_threads();
    for ( size_t thread = 0; thread < threads; ++thread )
    {
      nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( node_id, thread );
      if ( not node->is_proxy() )
      {
        copies.push_back( node );
      }
    }
    return copies;
  }

  std::vector< Source > sources_;
};

}  // namespace

}  // namespace cosim

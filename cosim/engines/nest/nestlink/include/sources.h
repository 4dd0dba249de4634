// SPDX-License-Identifier: GPL-2.0-or-later
//
// Rates of Poisson generators through pointers that are looked up once; these are valid from Prepare on, until the
// next Create or ResetKernel.
//
// A generator takes its rate over in its pre_run_hook, which the kernel calls at Prepare only: set through PyNEST
// inside Prepare ... Cleanup, a new rate reads back as it was set and changes nothing.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "kernel_manager.h"
#include "node.h"

#include <vector>

namespace cosim
{

//! Poisson generators, each with its copies on the threads of this rank, and the rates that they have.
class Sources
{
public:
  Sources( const long* node_ids, long count )
    : rates_hz_( count, 0.0 )
  {
    const size_t threads = nest::kernel().vp_manager.get_num_threads();
    for ( const long* id = node_ids; id != node_ids + count; ++id )
    {
      std::vector< nest::Node* >& copies = generators_.emplace_back();
      for ( size_t thread = 0; thread < threads; ++thread )
      {
        copies.push_back( nest::kernel().node_manager.get_node_or_proxy( *id, thread ) );
      }
    }
  }

  void
  set( const double* rates_hz )
  {
    for ( size_t i = 0; i < generators_.size(); ++i )
    {
      if ( rates_hz[ i ] != rates_hz_[ i ] )
      {
        Dictionary parameter;
        parameter[ "rate" ] = rates_hz[ i ];
        for ( nest::Node* generator : generators_[ i ] )
        {
          generator->set_status( parameter );
          generator->pre_run_hook();
        }
        rates_hz_[ i ] = rates_hz[ i ];
      }
    }
  }

private:
  std::vector< std::vector< nest::Node* > > generators_;
  std::vector< double > rates_hz_;
};

}  // namespace cosim

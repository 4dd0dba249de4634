// SPDX-License-Identifier: GPL-2.0-or-later
//
// Voltages of sinks through pointers that are looked up once; these are valid from Prepare on, until the next Create
// or ResetKernel.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"

#include "iaf_psc_alpha.h"
#include "kernel_manager.h"
#include "node.h"

#include <string>
#include <vector>

namespace cosim
{

struct Voltage
{
  using Pointer = double ( nest::iaf_psc_alpha::* )() const;
  friend Pointer reach( Voltage );
};
template struct Grant< Voltage, &nest::iaf_psc_alpha::get_V_m_ >;

namespace
{

//! Those of some integrators that are on this rank, with their places among all.
class Sinks
{
public:
  Sinks( const long* node_ids, long count )
  {
    for ( long place = 0; place < count; ++place )
    {
      nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( node_ids[ place ] );
      if ( not node->is_proxy() )
      {
        const auto* integrator = dynamic_cast< const nest::iaf_psc_alpha* >( node );
        if ( not integrator )
        {
          throw nest::BadParameter( "node " + std::to_string( node_ids[ place ] ) + " is no iaf_psc_alpha." );
        }
        own_.push_back( { integrator, place } );
      }
    }
  }

  void
  read( double* voltages_mv ) const
  {
    for ( const Own& each : own_ )
    {
      voltages_mv[ each.place ] = ( each.integrator->*reach( Voltage() ) )();
    }
  }

private:
  struct Own
  {
    const nest::iaf_psc_alpha* integrator;
    long place;
  };
  std::vector< Own > own_;
};

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Fails for a node of this rank that is no iaf_psc_alpha.
int
nestlink_open_sinks( const long* node_ids, long count, void** sinks )
{
  return guarded( [ & ] { *sinks = new Sinks( node_ids, count ); } );
}

//! Write the voltages of the sinks on this rank to their places; the others keep what they held.
void
nestlink_read_sinks( const void* sinks, double* voltages_mv )
{
  static_cast< const Sinks* >( sinks )->read( voltages_mv );
}

void
nestlink_close_sinks( void* sinks )
{
  delete static_cast< Sinks* >( sinks );
}

}  // extern "C"

// SPDX-License-Identifier: GPL-2.0-or-later
//
// What sinks read at the end of a step, through pointers that are looked up once; these are valid from Prepare on,
// until the next Create or ResetKernel.
//
// The voltage of an iaf_psc_alpha, of which a run may have hundreds, is read by the neuron's own method (ns); any
// other variable of any other model is looked up by its name in the node's status (us).

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"
#include "status.h"

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

//! What is read of a node, as Python lays it out: a variable, or what it grew by in the step if it is a count.
struct Reading
{
  long node_id;
  const char* variable;
  double scale;
  long is_count;
};

//! The readings of nodes that are on this rank, with their places among all.
class Sinks
{
public:
  Sinks( const Reading* readings, long count )
  {
    for ( long place = 0; place < count; ++place )
    {
      if ( *readings[ place ].variable == '\0' )
      {
        continue;  // what is read elsewhere, see taps.cpp
      }
      // Of a device, which is on all ranks and threads, each rank has one copy that speaks for its threads.
      const nest::Node* node =
        nest::kernel().node_manager.get_mpi_local_node_or_device_head( readings[ place ].node_id );
      if ( not node->is_proxy() )
      {
        add( *node, readings[ place ], place );
      }
    }
  }

  void
  read( double* values )
  {
    for ( const Integrator& each : integrators_ )
    {
      values[ each.place ] = ( each.node->*reach( Voltage() ) )();
    }
    for ( Variable& each : variables_ )
    {
      const double now = number_in_status( *each.node, each.name );
      values[ each.place ] = each.scale * ( each.is_count ? now - each.before : now );
      each.before = now;
    }
  }

private:
  struct Integrator
  {
    const nest::iaf_psc_alpha* node;
    long place;
  };
  struct Variable
  {
    const nest::Node* node;
    std::string name;
    double scale;
    bool is_count;
    double before;
    long place;
  };

  void
  add( const nest::Node& node, const Reading& reading, long place )
  {
    const std::string name = reading.variable;
    const auto* integrator = dynamic_cast< const nest::iaf_psc_alpha* >( &node );
    if ( integrator and name == "V_m" and reading.scale == 1.0 and not reading.is_count )
    {
      integrators_.push_back( { integrator, place } );
    }
    else
    {
      const double before = number_in_status( node, name );
      variables_.push_back( { &node, name, reading.scale, reading.is_count != 0, before, place } );
    }
  }

  std::vector< Integrator > integrators_;
  std::vector< Variable > variables_;
};

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Fails for a node of this rank that has no such variable.
int
nestlink_open_sinks( const void* readings, long count, void** sinks )
{
  return guarded( [ & ] { *sinks = new Sinks( static_cast< const Reading* >( readings ), count ); } );
}

//! Write what the sinks on this rank read to their places; the others keep what they held.
int
nestlink_read_sinks( void* sinks, double* values )
{
  return guarded( [ & ] { static_cast< Sinks* >( sinks )->read( values ); } );
}

void
nestlink_close_sinks( void* sinks )
{
  delete static_cast< Sinks* >( sinks );
}

}  // extern "C"

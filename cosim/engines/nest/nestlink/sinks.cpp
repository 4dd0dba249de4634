// SPDX-License-Identifier: GPL-2.0-or-later
//
// What sinks read at the end of a step, through pointers that are looked up once; these are valid from Prepare on,
// until the next Create or ResetKernel.
//
// The voltage of an iaf_psc_alpha or iaf_psc_exp, of which a run may have hundreds, is read by the neuron's own method
// (ns); any other variable of any other model is looked up by its name in the node's status (us). What is more than
// one variable of one node is a block, see samples.cpp and weight_sinks.cpp.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "reach.h"
#include "sink_block.h"
#include "status.h"

#include "iaf_psc_alpha.h"
#include "iaf_psc_exp.h"
#include "kernel_manager.h"
#include "node.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cosim
{

struct Voltage
{
  using Pointer = double ( nest::iaf_psc_alpha::* )() const;
  friend Pointer reach( Voltage );
};
template struct Grant< Voltage, &nest::iaf_psc_alpha::get_V_m_ >;

struct VoltageOfExp
{
  using Pointer = double ( nest::iaf_psc_exp::* )() const;
  friend Pointer reach( VoltageOfExp );
};
template struct Grant< VoltageOfExp, &nest::iaf_psc_exp::get_V_m_ >;

namespace
{

//! What is read of a node, as Python lays it out: a variable, or what it grew by in the step if it is a count.
struct Reading
{
  long node_id;
  const char* variable;
  double scale;
  long is_count;
  long place;
};

//! The voltage of a node of one model, of which it must be.
template < typename Neuron, typename Method >
double
voltage_of( const nest::Node& node )
{
  return ( static_cast< const Neuron& >( node ).*reach( Method() ) )();
}

//! The readings of nodes that are on this rank, with their places among all.
class Sinks
{
public:
  Sinks( const Reading* readings, long count )
  {
    for ( const Reading* reading = readings; reading != readings + count; ++reading )
    {
      // Of a device, which is on all ranks and threads, each rank has one copy that speaks for its threads.
      const nest::Node* node =
        nest::kernel().node_manager.get_mpi_local_node_or_device_head( reading->node_id );
      if ( not node->is_proxy() )
      {
        add( *node, *reading );
      }
    }
  }

  //! Read `block`, too, to the places from `place` on.
  void
  add( std::unique_ptr< SinkBlock > block, long place )
  {
    blocks_.emplace_back( std::move( block ), place );
  }

  void
  read( double* values )
  {
    for ( const Integrator& each : integrators_ )
    {
      values[ each.place ] = each.voltage( *each.node );
    }
    for ( Variable& each : variables_ )
    {
      const double now = number_in_status( *each.node, each.name );
      values[ each.place ] = each.scale * ( each.is_count ? now - each.before : now );
      each.before = now;
    }
    for ( const auto& [ block, place ] : blocks_ )
    {
      block->read( values + place );
    }
  }

private:
  struct Integrator
  {
    const nest::Node* node;
    double ( *voltage )( const nest::Node& );
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
  add( const nest::Node& node, const Reading& reading )
  {
    const std::string name = reading.variable;
    const bool is_voltage = name == "V_m" and reading.scale == 1.0 and not reading.is_count;
    if ( is_voltage and dynamic_cast< const nest::iaf_psc_alpha* >( &node ) )
    {
      integrators_.push_back( { &node, voltage_of< nest::iaf_psc_alpha, Voltage >, reading.place } );
    }
    else if ( is_voltage and dynamic_cast< const nest::iaf_psc_exp* >( &node ) )
    {
      integrators_.push_back( { &node, voltage_of< nest::iaf_psc_exp, VoltageOfExp >, reading.place } );
    }
    else
    {
      const double before = number_in_status( node, name );
      variables_.push_back( { &node, name, reading.scale, reading.is_count != 0, before, reading.place } );
    }
  }

  std::vector< Integrator > integrators_;
  std::vector< Variable > variables_;
  std::vector< std::pair< std::unique_ptr< SinkBlock >, long > > blocks_;
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

//! Let sinks read what a multimeter samples, too, to the places from `place` on.
int
nestlink_add_samples( void* sinks, long place, const void* samples )
{
  return guarded( [ & ] {
    static_cast< Sinks* >( sinks )->add( make_samples( *static_cast< const SamplesSpec* >( samples ) ), place );
  } );
}

//! Let sinks read weights, too, to the places from `place` on; `weights` lives as long as they do.
int
nestlink_add_weights( void* sinks, long place, const void* spec, void** weights )
{
  return guarded( [ & ] {
    auto block = make_weights( *static_cast< const WeightsSpec* >( spec ) );
    *weights = block.get();
    static_cast< Sinks* >( sinks )->add( std::move( block ), place );
  } );
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

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Builds projections inside the kernel, from the description that connect.py hands over. Which pairs are
// joined and with what weights depends on the projection's key and the number of the target in its
// population, and on nothing else: every target has random streams of its own, so the split into ranks and
// threads has no say.

#include "grid_sampler.h"
#include "guard.h"
#include "indegree_sampler.h"
#include "random_stream.h"
#include "synapse_writer.h"
#include "threads.h"

#include "connection_manager.h"
#include "kernel_manager.h"
#include "modelrange_manager.h"
#include "vp_manager_impl.h"

#include <array>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>

namespace cosim
{

//! Consecutive node ids on a grid of three axes, in C order; the layout is shared with connect.py.
struct Nodes
{
  long first_id;
  long counts[ 3 ];

  long
  size() const
  {
    return counts[ 0 ] * counts[ 1 ] * counts[ 2 ];
  }

  long
  last_id() const
  {
    return first_id + size() - 1;
  }
};

//! Offers of one axis in compressed rows, see AxisOffers in connect.py, which shares the layout.
struct Offers
{
  const int64_t* starts;
  const int32_t* planes;
  const double* factors;
};

namespace
{

//! Throws unless these are neurons (or other nodes that live on one thread each); whether all are of one
//! model.
bool
check_neurons( const char* what, const Nodes& nodes )
{
  auto& ranges = nest::kernel().modelrange_manager;
  const size_t model = ranges.get_model_id( nodes.first_id );
  bool alike = true;
  long next = nodes.first_id;
  for ( long id = next; id <= nodes.last_id(); id = next )
  {
    next = ranges.get_contiguous_node_id_range( id ).get_last_node_id() + 1;
    if ( not ranges.get_model_of_node_id( id )->has_proxies() )
    {
      const std::string model_name = ranges.get_model_of_node_id( id )->get_name();
      throw std::invalid_argument( std::string( what ) + " " + std::to_string( id ) + " is a device (a "
        + model_name + "), which has a copy on every thread: use Connect" );
    }
    alike = alike and ranges.get_model_id( id ) == model;
  }
  ranges.get_model_id( nodes.last_id() );  // throws if there is no such node
  return alike;
}

//! What NEST's own Connect does around making synapses; returns the number of synapses made on this rank.
template < typename Work >
long
counted( Work work )
{
  auto& manager = nest::kernel().connection_manager;
  nest::kernel().node_manager.update_thread_local_node_data();
  manager.set_connections_have_changed();
  const size_t before = manager.get_num_connections();
  on_all_threads( work );
  return static_cast< long >( manager.get_num_connections() - before );
}

//! Call `visit( index, node )` for the nodes of a population that live on this thread.
template < typename Visit >
void
for_own( const Nodes& nodes, size_t thread, Visit visit )
{
  auto& threads = nest::kernel().vp_manager;
  const long step = threads.get_num_virtual_processes();
  const long own = threads.thread_to_vp( thread );
  for ( long index = ( ( own - nodes.first_id ) % step + step ) % step; index < nodes.size(); index += step )
  {
    visit( index, *nest::kernel().node_manager.get_node_or_proxy( nodes.first_id + index, thread ) );
  }
}

//! The next weight of a projection.
double
draw_weight( const SynapseSpec& spec, RandomStream& random )
{
  return spec.is_lognormal ? std::exp( spec.weight + spec.sigma * random.normal() ) : spec.weight;
}

// -----------------------------------------------------------------------------------------------------------

//! Join every target with the sources that are drawn for it. `make_draw()` makes a thread's function
//! `draw( target, random, take )`, which calls `take( source )`; both are numbers in their populations.
template < typename MakeDraw >
long
build( const Nodes& sources, const Nodes& targets, const SynapseSpec& synapse, MakeDraw make_draw )
{
  const bool alike = check_neurons( "source", sources );
  check_neurons( "target", targets );
  return counted( [ & ]( size_t thread ) {
    const auto writer = make_writer( synapse, thread, alike );
    auto draw = make_draw();
    for_own( targets, thread, [ & ]( long index, nest::Node& target ) {
      RandomStream pairs( synapse.key, Use::pairs, index ), weights( synapse.key, Use::weights, index );
      draw( index, pairs, [ & ]( long source ) {
        writer->add( sources.first_id + source, target, draw_weight( synapse, weights ) );
      } );
    } );
  } );
}

//! The number of a node in a population, -1 if it is none of it.
long
number_among( const Nodes& nodes, long id )
{
  return nodes.first_id <= id and id <= nodes.last_id() ? id - nodes.first_id : -1;
}

std::array< long, 3 >
planes_of( const Nodes& nodes, long index )
{
  const long column = index / nodes.counts[ 2 ];
  return { column / nodes.counts[ 1 ], column % nodes.counts[ 1 ], index % nodes.counts[ 2 ] };
}

GridSampler
grid_sampler( const Nodes& sources, const Nodes& targets, const Offers* offers )
{
  std::array< Axis, 3 > axes;
  for ( int k = 0; k < 3; ++k )
  {
    axes[ k ] = Axis( targets.counts[ k ], offers[ k ].starts, offers[ k ].planes, offers[ k ].factors );
  }
  return GridSampler( axes, { sources.counts[ 0 ], sources.counts[ 1 ], sources.counts[ 2 ] } );
}

//! Whether all pairs are between neurons, with sources of one model; throws for an unknown node.
bool
all_alike( const int64_t* sources, const int64_t* targets, long count )
{
  auto& ranges = nest::kernel().modelrange_manager;
  bool alike = true;
  for ( long i = 0; i < count; ++i )
  {
    const size_t model = ranges.get_model_id( sources[ i ] );
    alike = alike and model == ranges.get_model_id( sources[ 0 ] )
      and ranges.get_model_of_node_id( sources[ i ] )->has_proxies()
      and ranges.get_model_of_node_id( targets[ i ] )->has_proxies();
  }
  return alike;
}

}  // namespace
}  // namespace cosim

// -----------------------------------------------------------------------------------------------------------

using namespace cosim;

extern "C"
{

//! Join pairs of two grids with probabilities that are products over axes; `offers` has one entry an axis.
int
nestlink_connect_bernoulli( const Nodes* sources,
  const Nodes* targets,
  const Offers* offers,
  const SynapseSpec* synapse,
  int allow_autapses,
  long* made )
{
  return guarded( [ & ] {
    const GridSampler sampler = grid_sampler( *sources, *targets, offers );
    *made = build( *sources, *targets, *synapse, [ & ] {
      return [ & ]( long index, RandomStream& random, auto take ) {
        const long self = allow_autapses ? -1 : number_among( *sources, targets->first_id + index );
        sampler.sample( planes_of( *targets, index ), random, [ & ]( long source ) {
          if ( source != self )
          {
            take( source );
          }
        } );
      };
    } );
  } );
}

//! Give every target the same number of sources.
int
nestlink_connect_indegree( const Nodes* sources,
  const Nodes* targets,
  const Indegree* rule,
  const SynapseSpec* synapse,
  long* made )
{
  return guarded( [ & ] {
    std::unique_ptr< CircleSearch > circles;
    if ( rule->source_points )
    {
      circles = std::make_unique< CircleSearch >( rule->source_points, sources->size(), rule->radius );
    }
    *made = build( *sources, *targets, *synapse, [ & ] {
      return [ &, sampler = IndegreeSampler( *rule, sources->size(), circles.get() ) ](
               long index, RandomStream& random, auto take ) mutable {
        sampler.sample( index, number_among( *sources, targets->first_id + index ), random, take );
      };
    } );
  } );
}

//! Join exactly these pairs; each has a random stream of its own for its weight.
int
nestlink_connect_pairs( const int64_t* sources,
  const int64_t* targets,
  long count,
  const SynapseSpec* synapse,
  long* made )
{
  return guarded( [ & ] {
    const bool alike = all_alike( sources, targets, count );
    *made = counted( [ & ]( size_t thread ) {
      const auto writer = make_writer( *synapse, thread, alike );
      for ( long i = 0; i < count; ++i )
      {
        nest::Node* target = nest::kernel().node_manager.get_node_or_proxy( targets[ i ], thread );
        if ( not target->is_proxy() )
        {
          RandomStream weights( synapse->key, Use::weights, i );
          writer->add( sources[ i ], *target, draw_weight( *synapse, weights ) );
        }
      }
    } );
  } );
}

}  // extern "C"

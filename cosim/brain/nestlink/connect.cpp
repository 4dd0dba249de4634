// SPDX-License-Identifier: GPL-2.0-or-later
//
// Builds projections inside the kernel, from the description that connect.py hands over. Which pairs are joined and with
// what weights depends on the projection's key and the number of the target in its population, and on nothing else:
// every target has random streams of its own, so the split into ranks and threads has no say.

#include "circle_search.h"
#include "grid_sampler.h"
#include "guard.h"
#include "random_stream.h"
#include "synapse_writer.h"

#include "connection_manager.h"
#include "delay_checker.h"
#include "kernel_manager.h"
#include "modelrange_manager.h"
#include "vp_manager_impl.h"

#include <omp.h>

#include <array>
#include <cmath>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

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

//! How the sources of a target are drawn when their number is fixed; the layout is shared with connect.py.
struct Indegree
{
  long count;
  const Point* source_points;  //!< null: sources come from everywhere
  const Point* target_points;
  double radius;
  int nearest_if_empty;
  int allow_autapses;
  int allow_multapses;
};

// ---------------------------------------------------------------------------------------------------------------------

//! Throws unless these are neurons (or other nodes that live on one thread each); whether all are of one model.
bool
check_neurons( const char* what, const Nodes& nodes )
{
  auto& ranges = nest::kernel().modelrange_manager;
  const size_t model = ranges.get_model_id( nodes.first_id );
  bool alike = true;
  for ( long id = nodes.first_id; id <= nodes.last_id(); id = ranges.get_contiguous_node_id_range( id ).get_last_node_id() + 1 )
  {
    if ( not ranges.get_model_of_node_id( id )->has_proxies() )
    {
      throw std::invalid_argument( std::string( what ) + " " + std::to_string( id ) + " is a device (a "
        + ranges.get_model_of_node_id( id )->get_name() + "), which has a copy on every thread: use Connect" );
    }
    alike = alike and ranges.get_model_id( id ) == model;
  }
  ranges.get_model_id( nodes.last_id() );  // throws if there is no such node
  return alike;
}

//! Run `work( thread )` on all threads of the kernel; throws what the first thread threw that failed.
template < typename Work >
void
on_all_threads( Work work )
{
  auto& manager = nest::kernel().connection_manager;
  const size_t threads = nest::kernel().vp_manager.get_num_threads();
  const auto* first_checker = &manager.get_delay_checker();
  std::vector< std::exception_ptr > errors( threads );
#pragma omp parallel num_threads( static_cast< int >( threads ) )
  {
    const size_t thread = omp_get_thread_num();
    try
    {
      // The kernel counts threads by itself: with an OpenMP library of its own it would count differently.
      if ( &manager.get_delay_checker() != first_checker + thread )
      {
        throw std::logic_error( "nestlink and NEST were loaded with different OpenMP libraries" );
      }
      work( thread );
    }
    catch ( ... )
    {
      errors[ thread ] = std::current_exception();
    }
  }
  for ( const auto& error : errors )
  {
    if ( error )
    {
      std::rethrow_exception( error );
    }
  }
}

//! What NEST's own Connect does around making synapses; returns the number of synapses made on this rank.
template < typename Work >
long
build( Work work )
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

// ---------------------------------------------------------------------------------------------------------------------

//! Draws the sources of one target after the other when their number is fixed.
class IndegreeSampler
{
public:
  IndegreeSampler( const Indegree& rule, long sources, const CircleSearch* circles )
    : rule_( rule )
    , sources_( sources )
    , circles_( circles )
  {
  }

  //! Call `take( source )` for each draw; `self` is the target's number among the sources, -1 if it is none of them.
  template < typename Take >
  void
  sample( long target, long self, RandomStream& random, Take take )
  {
    const long barred = rule_.allow_autapses ? -1 : self;
    const long count = circles_ ? gather( target, barred ) : sources_ - ( barred >= 0 );
    check( target, count );
    const auto take_candidate = [ & ]( long i ) {
      take( circles_ ? candidates_[ i ] : i + ( barred >= 0 and i >= barred ) );
    };
    rule_.allow_multapses ? repeated( count, random, take_candidate ) : distinct( count, random, take_candidate );
  }

private:
  long
  gather( long target, long barred )
  {
    circles_->find( rule_.target_points[ target ], candidates_ );
    std::erase( candidates_, barred );
    if ( candidates_.empty() and rule_.nearest_if_empty )
    {
      candidates_.push_back( circles_->nearest( rule_.target_points[ target ], barred ) );
      std::erase( candidates_, -1 );
    }
    return candidates_.size();
  }

  void
  check( long target, long count ) const
  {
    const long needed = rule_.allow_multapses ? std::min( rule_.count, 1L ) : rule_.count;
    if ( count < needed )
    {
      throw std::invalid_argument( "target " + std::to_string( target ) + " of the population has "
        + std::to_string( count ) + " candidates for sources"
        + ( circles_ ? " within " + std::to_string( rule_.radius ) + " mm" : "" ) + ", needs at least "
        + std::to_string( needed ) );
    }
  }

  template < typename Take >
  void
  repeated( long count, RandomStream& random, Take take ) const
  {
    for ( long draw = 0; draw < rule_.count; ++draw )
    {
      take( random.below( count ) );
    }
  }

  //! Floyd's sample without replacement (Bentley and Floyd 1987).
  template < typename Take >
  void
  distinct( long count, RandomStream& random, Take take )
  {
    taken_.clear();
    for ( long last = count - rule_.count; last < count; ++last )
    {
      const long drawn = random.below( last + 1 );
      const long chosen = taken_.insert( drawn ).second ? drawn : last;
      taken_.insert( chosen );
      take( chosen );
    }
  }

  const Indegree& rule_;
  long sources_;
  const CircleSearch* circles_;
  std::vector< long > candidates_;
  std::unordered_set< long > taken_;
};

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

}  // namespace cosim

// ---------------------------------------------------------------------------------------------------------------------

using namespace cosim;

extern "C"
{

//! Join pairs of two grids with probabilities that are products over axes; `offers` has one entry for each of 3 axes.
int
nestlink_connect_bernoulli( const Nodes* sources,
  const Nodes* targets,
  const Offers* offers,
  const SynapseSpec* synapse,
  int allow_autapses,
  long* made )
{
  return guarded( [ & ] {
    const bool alike = check_neurons( "source", *sources );
    check_neurons( "target", *targets );
    std::array< Axis, 3 > axes;
    for ( int k = 0; k < 3; ++k )
    {
      axes[ k ] = Axis( targets->counts[ k ], offers[ k ].starts, offers[ k ].planes, offers[ k ].factors );
    }
    const GridSampler sampler( axes, { sources->counts[ 0 ], sources->counts[ 1 ], sources->counts[ 2 ] } );
    *made = build( [ & ]( size_t thread ) {
      const auto writer = make_writer( *synapse, thread, alike );
      for_own( *targets, thread, [ & ]( long index, nest::Node& target ) {
        RandomStream pairs( synapse->key, Use::pairs, index ), weights( synapse->key, Use::weights, index );
        const long column = index / targets->counts[ 2 ];
        const std::array< long, 3 > planes {
          column / targets->counts[ 1 ], column % targets->counts[ 1 ], index % targets->counts[ 2 ]
        };
        sampler.sample( planes, pairs, [ & ]( long source ) {
          const size_t id = sources->first_id + source;
          if ( allow_autapses or id != target.get_node_id() )
          {
            writer->add( id, target, draw_weight( *synapse, weights ) );
          }
        } );
      } );
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
    const bool alike = check_neurons( "source", *sources );
    check_neurons( "target", *targets );
    std::unique_ptr< CircleSearch > circles;
    if ( rule->source_points )
    {
      circles = std::make_unique< CircleSearch >( rule->source_points, sources->size(), rule->radius );
    }
    *made = build( [ & ]( size_t thread ) {
      const auto writer = make_writer( *synapse, thread, alike );
      IndegreeSampler sampler( *rule, sources->size(), circles.get() );
      for_own( *targets, thread, [ & ]( long index, nest::Node& target ) {
        RandomStream pairs( synapse->key, Use::pairs, index ), weights( synapse->key, Use::weights, index );
        const long number = targets->first_id + index - sources->first_id;
        const long self = 0 <= number and number < sources->size() ? number : -1;
        sampler.sample( index, self, pairs, [ & ]( long source ) {
          writer->add( sources->first_id + source, target, draw_weight( *synapse, weights ) );
        } );
      } );
    } );
  } );
}

//! Join exactly these pairs; each has a random stream of its own for its weight.
int
nestlink_connect_pairs( const int64_t* sources, const int64_t* targets, long count, const SynapseSpec* synapse, long* made )
{
  return guarded( [ & ] {
    const bool alike = all_alike( sources, targets, count );
    *made = build( [ & ]( size_t thread ) {
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

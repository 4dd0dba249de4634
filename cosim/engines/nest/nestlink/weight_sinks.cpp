// SPDX-License-Identifier: GPL-2.0-or-later
//
// The weights of all synapses from some neurons onto others: their mean and histogram, and all of them for the record.
//
// Where the weights lie is looked up once. Sums are of whole numbers, so that they do not depend on the order of the
// synapses, and with it on the split into ranks and threads.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "sink_block.h"
#include "synapses.h"
#include "threads.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace cosim
{

namespace
{

//! A whole number of parts of which PARTS_OF_ONE make 1; a message has it without its last PART_BITS bits, and these.
using WholeParts = __int128;
constexpr int PART_BITS = 40;
constexpr double PARTS_OF_ONE = 0x1p44;

//! The synapses of one thread of this rank, in NEST's order.
struct SynapsesOfThread
{
  struct InStatus
  {
    nest::ConnectorBase* connector;
    size_t synapse;
  };

  std::vector< int64_t > sources, targets;
  std::vector< const double* > places;  //!< null for those of an unknown model
  std::vector< InStatus > in_status;    //!< these, in their order
};

double
weight_in_status( const SynapsesOfThread::InStatus& from, size_t thread )
{
  Dictionary status;
  from.connector->get_synapse_status( thread, from.synapse, status );
  return status.get< double >( nest::names::weight );
}

//! The sum and the histogram of some weights.
struct WeightStatistics
{
  WholeParts sum = 0;
  std::vector< long > counts;

  void
  add( double weight, const std::vector< double >& edges )
  {
    if ( not std::isfinite( weight ) )
    {
      throw nest::KernelException( "a weight is not finite." );
    }
    sum += static_cast< WholeParts >( std::nearbyint( weight * PARTS_OF_ONE ) );
    ++counts[ std::upper_bound( edges.begin(), edges.end(), weight ) - edges.begin() ];
  }
};

//! The weights of a projection on this rank.
class WeightSink : public SinkBlock
{
public:
  explicit WeightSink( const WeightsSpec& spec )
    : edges_( spec.edges, spec.edges + spec.edge_count )
    , every_( spec.every )
    , full_every_( spec.full_every )
    , threads_( nest::kernel().vp_manager.get_num_threads() )
  {
    if ( nest::kernel().sp_manager.is_structural_plasticity_enabled() )
    {
      throw nest::KernelException( "weights cannot be read where structural plasticity makes and removes synapses." );
    }
    const NodeSet sources( spec.sources, spec.source_count ), targets( spec.targets, spec.target_count );
    on_all_threads( [ & ]( size_t thread ) { find( thread, sources, targets ); } );
    measure();
    if ( full_every_ )
    {
      take_all();
    }
  }

  void
  read( double* values ) override
  {
    ++steps_;
    if ( steps_ % every_ == 0 )
    {
      measure();
    }
    if ( full_every_ and steps_ % full_every_ == 0 )
    {
      take_all();
    }
    std::copy( measured_.begin(), measured_.end(), values );
  }

  //! The ends of all synapses.
  std::vector< int64_t >
  ends( std::vector< int64_t > SynapsesOfThread::* which ) const
  {
    std::vector< int64_t > all;
    for ( const SynapsesOfThread& synapses : threads_ )
    {
      all.insert( all.end(), ( synapses.*which ).begin(), ( synapses.*which ).end() );
    }
    return all;
  }

  //! All weights, time after time, since they were forgotten.
  std::vector< double > taken;

private:
  void
  find( size_t thread, const NodeSet& sources, const NodeSet& targets )
  {
    auto& manager = nest::kernel().connection_manager;
    const nest::SourceTable& table = manager.*reach( SourcesOfSynapses() );
    for ( nest::ConnectorBase* connector : ( manager.*reach( Synapses() ) ).at( thread ) )
    {
      if ( connector and connector->size() )
      {
        const FindPlace find_place = find_place_in( *connector );
        for ( size_t synapse = 0; synapse < connector->size(); ++synapse )
        {
          const size_t source = table.get_node_id( thread, connector->get_syn_id(), synapse );
          const size_t target = sources.has( source ) ? connector->get_target_node_id( thread, synapse ) : 0;
          if ( target and targets.has( target ) )
          {
            add( threads_[ thread ], *connector, synapse, find_place );
            threads_[ thread ].sources.push_back( source );
            threads_[ thread ].targets.push_back( target );
          }
        }
      }
    }
    if ( not full_every_ )
    {
      threads_[ thread ].sources = {};
      threads_[ thread ].targets = {};
    }
  }

  static void
  add( SynapsesOfThread& synapses, nest::ConnectorBase& connector, size_t synapse, FindPlace find_place )
  {
    synapses.places.push_back( find_place ? find_place( connector, synapse ) : nullptr );
    if ( not find_place )
    {
      synapses.in_status.push_back( { &connector, synapse } );
    }
  }

  //! Call `use( weight )` for all synapses of a thread, in their order.
  template < typename Use >
  void
  visit( size_t thread, Use use ) const
  {
    auto in_status = threads_[ thread ].in_status.begin();
    for ( const double* place : threads_[ thread ].places )
    {
      use( place ? *place : weight_in_status( *in_status++, thread ) );
    }
  }

  void
  measure()
  {
    std::vector< WeightStatistics > found( threads_.size(), { 0, std::vector< long >( edges_.size() + 1 ) } );
    on_all_threads( [ & ]( size_t thread ) {
      visit( thread, [ & ]( double weight ) { found[ thread ].add( weight, edges_ ); } );
    } );
    WholeParts sum = 0;
    measured_.assign( 2 + edges_.size() + 1, 0.0 );
    for ( const WeightStatistics& each : found )
    {
      sum += each.sum;
      const auto histogram = measured_.begin() + 2;
      std::transform( each.counts.begin(), each.counts.end(), histogram, histogram, std::plus<>() );
    }
    const WholeParts high = sum >> PART_BITS;
    measured_[ 0 ] = static_cast< double >( high );
    measured_[ 1 ] = static_cast< double >( sum - ( high << PART_BITS ) );
  }

  void
  take_all()
  {
    for ( size_t thread = 0; thread < threads_.size(); ++thread )
    {
      visit( thread, [ this ]( double weight ) { taken.push_back( weight ); } );
    }
  }

  const std::vector< double > edges_;
  const long every_;
  const long full_every_;
  std::vector< SynapsesOfThread > threads_;
  std::vector< double > measured_;
  long steps_ = 0;
};

WeightSink&
weight_sink( void* weights )
{
  return static_cast< WeightSink& >( *static_cast< SinkBlock* >( weights ) );
}

}  // namespace

std::unique_ptr< SinkBlock >
make_weights( const WeightsSpec& spec )
{
  return std::make_unique< WeightSink >( spec );
}

}  // namespace cosim

using namespace cosim;

extern "C"
{

//! How many synapses there are on this rank, all of whose weights are kept.
int
nestlink_count_weights( void* weights, long* count )
{
  return guarded( [ & ] {
    *count = static_cast< long >( weight_sink( weights ).ends( &SynapsesOfThread::sources ).size() );
  } );
}

//! Write the ids of the ends of these synapses to arrays of so many.
int
nestlink_ends_of_weights( void* weights, int64_t* sources, int64_t* targets )
{
  return guarded( [ & ] {
    const WeightSink& sink = weight_sink( weights );
    const auto from = sink.ends( &SynapsesOfThread::sources ), onto = sink.ends( &SynapsesOfThread::targets );
    std::copy( from.begin(), from.end(), sources );
    std::copy( onto.begin(), onto.end(), targets );
  } );
}

//! Point at all weights that were taken since they were forgotten; valid until the next step.
void
nestlink_taken_weights( void* weights, const double** taken, long* count )
{
  const WeightSink& sink = weight_sink( weights );
  *taken = sink.taken.data();
  *count = static_cast< long >( sink.taken.size() );
}

void
nestlink_forget_weights( void* weights )
{
  weight_sink( weights ).taken.clear();
}

}  // extern "C"

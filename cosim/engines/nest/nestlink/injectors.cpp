// SPDX-License-Identifier: GPL-2.0-or-later
//
// Spikes that are injected: times for a spike_generator, which sends them to all its targets, or for one of many
// spike_train_injectors, each of which drives one neuron.
//
// Both take times between two Runs at once, and forget those that they had. What lies in the past is never sent, so
// that nodes which get nothing for a step need not be touched.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "run_time.h"
#include "run_time.h"

#include "exceptions.h"
#include "kernel_manager.h"
#include "node.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace cosim
{

namespace
{

//! A source as Python lays it out.
struct InjectedNodes
{
  long generator;       //!< node that sends to all neurons
  long first_injector;  //!< node for the first neuron; those for the others follow
  long injectors;       //!< how many there are
  long first_number;    //!< by which the first neuron is called
  long number_step;     //!< from each neuron to the next
};

//! The number of a neuron that stands for all of them.
constexpr long TO_ALL = -1;

//! The node that sends spikes to the neuron of this number.
size_t
node_for( const InjectedNodes& source, long number )
{
  if ( number == TO_ALL )
  {
    return source.generator;
  }
  const long place = ( number - source.first_number ) / source.number_step;
  if ( number < source.first_number or place >= source.injectors )
  {
    throw nest::KernelException( "there is no node for neuron " + std::to_string( number ) + " alone." );
  }
  return source.first_injector + place;
}

void
set_spike_times( nest::Node& node, const std::vector< double >& times_ms )
{
  Dictionary parameters;
  parameters[ "spike_times" ] = times_ms;
  node.set_status( parameters );
}

//! A device is on every thread, another node on one; what others have in its place takes no values.
void
set_copies( size_t node_id, const std::vector< double >& times_ms )
{
  const size_t threads = nest::kernel().vp_manager.get_num_threads();
  for ( size_t thread = 0; thread < threads; ++thread )
  {
    nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( node_id, thread );
    if ( not node->is_proxy() )
    {
      set_spike_times( *node, times_ms );
    }
  }
}

//! Set times of one source, (n,) in the run's time, each for the neuron that `numbers` says; in order of time.
void
inject( const InjectedNodes& source, const double* times_ms, const double* numbers, long count )
{
  std::vector< std::pair< long, double > > spikes( count );
  for ( long i = 0; i < count; ++i )
  {
    spikes[ i ] = { static_cast< long >( numbers[ i ] ), times_ms[ i ] - run_before.get_ms() };
  }
  std::sort( spikes.begin(), spikes.end() );
  std::vector< double > times;
  for ( auto spike = spikes.begin(); spike != spikes.end(); )
  {
    const long number = spike->first;
    times.clear();
    for ( ; spike != spikes.end() and spike->first == number; ++spike )
    {
      times.push_back( spike->second );
    }
    set_copies( node_for( source, number ), times );
  }
}

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Send spikes of a source in the step that comes, on this rank.
int
nestlink_inject( const void* source, const double* times_ms, const double* numbers, long count )
{
  return guarded( [ & ] { inject( *static_cast< const InjectedNodes* >( source ), times_ms, numbers, count ); } );
}

}  // extern "C"

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Sinks of spikes: the spikes of some neurons themselves, or how many there were, without connections (see tap.h).
//
// Each thread writes to a place of its own; what all have is put together at the end of a step. Neurons are called by
// numbers that whoever opens a sink gives them. Taps share in the memory to which they write: it is there for as long
// as NEST has them.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "guard.h"
#include "tap.h"

#include "event.h"
#include "kernel_manager.h"
#include "node.h"

#include <memory>
#include <vector>

namespace cosim
{

namespace
{

//! How many spikes a thread has seen; on a cache line of its own.
struct alignas( 64 ) Counter
{
  long spikes = 0;
};

//! The spikes that a thread has seen, as a message has them.
struct alignas( 64 ) SpikeList
{
  std::vector< double > times_ms;
  std::vector< double > numbers;
};

//! What threads write, for as long as a tap or a sink needs it.
template < typename PerThread >
using Shared = std::shared_ptr< std::vector< PerThread > >;

//! Counts the spikes of a neuron.
class CountingTap : public Tap
{
public:
  CountingTap( const Shared< Counter >& counters, size_t thread )
    : counter_( counters, &( *counters )[ thread ] )
  {
  }

  void
  send_to_all( const size_t, const std::vector< nest::ConnectorModel* >&, nest::Event& event ) override
  {
    counter_->spikes += static_cast< long >( static_cast< const nest::SpikeEvent& >( event ).get_multiplicity() );
  }

private:
  std::shared_ptr< Counter > counter_;
};

//! Lists the spikes of a neuron.
class ListingTap : public Tap
{
public:
  ListingTap( const Shared< SpikeList >& lists, size_t thread, long number )
    : list_( lists, &( *lists )[ thread ] )
    , number_( static_cast< double >( number ) )
  {
  }

  void
  send_to_all( const size_t, const std::vector< nest::ConnectorModel* >&, nest::Event& event ) override
  {
    const auto& spike = static_cast< const nest::SpikeEvent& >( event );
    const size_t count = spike.get_multiplicity();
    make_room( list_->times_ms, count );
    make_room( list_->numbers, count );
    list_->times_ms.insert( list_->times_ms.end(), count, time_ms( spike ) );
    list_->numbers.insert( list_->numbers.end(), count, number_ );
  }

private:
  std::shared_ptr< SpikeList > list_;
  double number_;
};

//! A sink as Python lays it out.
struct TappedNeurons
{
  long place;         //!< in the readout
  long window_steps;  //!< over which spikes are counted; 0 for the spikes themselves
  const long* node_ids;
  long count;
  long first_number;  //!< by which the first neuron is called
  long number_step;   //!< from each neuron to the next
};

//! Call `work( node, number )` for the neurons of a sink that are on this rank.
template < typename Work >
void
on_own_neurons( const TappedNeurons& sink, Work work )
{
  for ( long i = 0; i < sink.count; ++i )
  {
    const nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( sink.node_ids[ i ] );
    if ( not node->is_proxy() )
    {
      work( *node, sink.first_number + i * sink.number_step );
    }
  }
}

//! Counts the spikes of neurons of this rank in the last steps.
class CountingSink
{
public:
  explicit CountingSink( const TappedNeurons& sink )
    : place_( sink.place )
    , counters_( std::make_shared< std::vector< Counter > >( nest::kernel().vp_manager.get_num_threads() ) )
    , steps_( sink.window_steps, 0 )
  {
    on_own_neurons( sink, [ this ]( const nest::Node& node, long ) {
      add_tap( node, std::make_unique< CountingTap >( counters_, node.get_thread() ) );
    } );
  }

  //! The step that falls out of the window makes room for the one that is over.
  void
  read( double* values )
  {
    long spikes = 0;
    for ( Counter& each : *counters_ )
    {
      spikes += each.spikes;
      each.spikes = 0;
    }
    in_window_ += spikes - steps_[ oldest_ ];
    steps_[ oldest_ ] = spikes;
    oldest_ = ( oldest_ + 1 ) % steps_.size();
    values[ place_ ] = static_cast< double >( in_window_ );
  }

private:
  long place_;
  Shared< Counter > counters_;
  std::vector< long > steps_;
  size_t oldest_ = 0;
  long in_window_ = 0;
};

//! Lists the spikes of neurons of this rank in a step.
class ListingSink
{
public:
  explicit ListingSink( const TappedNeurons& sink )
    : place_( sink.place )
    , lists_( std::make_shared< std::vector< SpikeList > >( nest::kernel().vp_manager.get_num_threads() ) )
  {
    on_own_neurons( sink, [ this ]( const nest::Node& node, long number ) {
      add_tap( node, std::make_unique< ListingTap >( lists_, node.get_thread(), number ) );
    } );
  }

  //! Write how many there are, and add all times and then all numbers to `message`.
  void
  read( double* values, std::vector< double >& message )
  {
    const size_t before = message.size();
    for ( SpikeList& each : *lists_ )
    {
      take( each.times_ms, message );
    }
    values[ place_ ] = static_cast< double >( message.size() - before );
    for ( SpikeList& each : *lists_ )
    {
      take( each.numbers, message );
    }
  }

private:
  static void
  take( std::vector< double >& values, std::vector< double >& message )
  {
    message.insert( message.end(), values.begin(), values.end() );
    values.clear();
  }

  long place_;
  Shared< SpikeList > lists_;
};

//! All sinks of spikes of a brain, on this rank.
class Taps
{
public:
  Taps( const TappedNeurons* sinks, long count )
  {
    for ( const TappedNeurons* sink = sinks; sink != sinks + count; ++sink )
    {
      if ( sink->window_steps )
      {
        counting_.emplace_back( *sink );
      }
      else
      {
        listing_.emplace_back( *sink );
      }
    }
  }

  void
  read( double* values )
  {
    for ( CountingSink& each : counting_ )
    {
      each.read( values );
    }
    message_.clear();
    for ( ListingSink& each : listing_ )
    {
      each.read( values, message_ );
    }
  }

  const std::vector< double >&
  message() const
  {
    return message_;
  }

private:
  std::vector< CountingSink > counting_;
  std::vector< ListingSink > listing_;
  std::vector< double > message_;
};

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Listen to neurons from now on. To be called after the last Create.
int
nestlink_open_taps( const void* sinks, long count, void** taps )
{
  return guarded( [ & ] { *taps = new Taps( static_cast< const TappedNeurons* >( sinks ), count ); } );
}

//! Write what each sink counted to its place, and point at the spikes that others list; valid until the next call.
int
nestlink_read_taps( void* taps, double* values, const double** message, long* length )
{
  return guarded( [ & ] {
    auto& all = *static_cast< Taps* >( taps );
    all.read( values );
    *message = all.message().data();
    *length = static_cast< long >( all.message().size() );
  } );
}

void
nestlink_close_taps( void* taps )
{
  delete static_cast< Taps* >( taps );
}

}  // extern "C"

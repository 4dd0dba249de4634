// SPDX-License-Identifier: GPL-2.0-or-later
//
// Bernoulli trials on a grid whose probabilities are products over axes, without looking at each pair.
//
// The candidates of a target are gone through in rows: one source plane of the first axis, with all planes of
// the second and third axis as one sequence, the second from the most probable plane down. An exponential
// clock of mean 1 runs along the sequence. A candidate whose bound on the probability is b takes -log(1 - b)
// of it, so it is reached with probability b exactly; one that is reached is then accepted with probability p
// / b, and its p, times the largest factor of the third axis, bounds the rest of the row (Miller and Hagberg
// 2011, who draw the skips of one row; the clock runs on over rows, so that a row in which nothing happens
// costs no random number). A third axis of equal factors, such as depth, costs nothing.

#pragma once

#include "random_stream.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace cosim
{

//! The source planes that one axis offers to each target plane, the most probable first.
class Axis
{
public:
  struct Entry
  {
    long plane;
    double factor;
  };

  struct Row
  {
    const Entry* begin;
    long size;
  };

  //! An axis of one plane that changes nothing.
  Axis()
    : starts_ { 0, 1 }
    , entries_ { { 0, 1.0 } }
  {
  }

  //! `starts` has one entry more than there are target planes; planes of factor 0 are left out.
  Axis( long target_planes, const int64_t* starts, const int32_t* planes, const double* factors )
  {
    for ( long plane = 0; plane < target_planes; ++plane )
    {
      starts_.push_back( entries_.size() );
      for ( int64_t i = starts[ plane ]; i < starts[ plane + 1 ]; ++i )
      {
        if ( factors[ i ] > 0 )
        {
          entries_.push_back( { planes[ i ], factors[ i ] } );
        }
      }
      std::stable_sort( entries_.begin() + starts_.back(),
        entries_.end(),
        []( const Entry& left, const Entry& right ) { return left.factor > right.factor; } );
    }
    starts_.push_back( entries_.size() );
  }

  Row
  row( long target_plane ) const
  {
    const long start = starts_[ target_plane ];
    return { entries_.data() + start, starts_[ target_plane + 1 ] - start };
  }

private:
  std::vector< long > starts_;
  std::vector< Entry > entries_;
};

//! Draws the sources of targets; sources are numbered in C order over three axes of `source_counts` planes.
class GridSampler
{
public:
  GridSampler( const std::array< Axis, 3 >& axes, const std::array< long, 3 >& source_counts )
    : axes_( axes )
    , counts_( source_counts )
  {
  }

  //! Call `take( source )` for each source that the target on these planes is joined with.
  template < typename Take >
  void
  sample( const std::array< long, 3 >& target_planes, RandomStream& random, Take take ) const
  {
    const Axis::Row first = axes_[ 0 ].row( target_planes[ 0 ] );
    const Axis::Row second = axes_[ 1 ].row( target_planes[ 1 ] );
    const Axis::Row third = axes_[ 2 ].row( target_planes[ 2 ] );
    if ( second.size == 0 or third.size == 0 )
    {
      return;
    }
    double clock = random.exponential();
    for ( long i = 0; i < first.size; ++i )
    {
      const long offset = first.begin[ i ].plane * counts_[ 1 ];
      const auto take_planes = [ & ]( long y, long z ) { take( ( offset + y ) * counts_[ 2 ] + z ); };
      run( first.begin[ i ].factor, second, third, clock, random, take_planes );
    }
  }

private:
  template < typename Take >
  static void
  run( double factor, Axis::Row second, Axis::Row third, double& clock, RandomStream& random, Take take )
  {
    const double scale = factor * third.begin[ 0 ].factor;
    const long end = second.size * third.size;
    double bound = scale * second.begin[ 0 ].factor;
    for ( long at = 0; at < end; ++at )
    {
      if ( not skip( bound, at, end, clock, random ) )
      {
        return;
      }
      const Axis::Entry& y = second.begin[ at / third.size ];
      const Axis::Entry& z = third.begin[ at % third.size ];
      const double probability = factor * z.factor * y.factor;
      if ( probability >= bound or random.uniform() * bound <= probability )
      {
        take( y.plane, z.plane );
      }
      bound = scale * y.factor;
    }
  }

  //! Go on to the next candidate that is reached; false if the row ends first.
  static bool
  skip( double bound, long& at, long end, double& clock, RandomStream& random )
  {
    if ( bound >= 1 )
    {
      return true;
    }
    const double cost = -std::log1p( -bound ), steps = clock / cost;
    if ( not( steps < static_cast< double >( end - at ) ) )  // also if both are 0
    {
      clock -= cost * static_cast< double >( end - at );
      return false;
    }
    at += static_cast< long >( steps );
    clock = random.exponential();
    return true;
  }

  std::array< Axis, 3 > axes_;
  std::array< long, 3 > counts_;
};

}  // namespace cosim

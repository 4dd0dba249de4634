// SPDX-License-Identifier: GPL-2.0-or-later
//
// Draws a fixed number of sources for each target, from everywhere or from a circle around it.

#pragma once

#include "circle_search.h"
#include "random_stream.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

namespace cosim
{

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

  //! Call `take( source )` for each draw; `self` is the target's number among the sources, -1 if it is none
  //! of them.
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
    if ( rule_.allow_multapses )
    {
      repeated( count, random, take_candidate );
    }
    else
    {
      distinct( count, random, take_candidate );
    }
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

}  // namespace cosim

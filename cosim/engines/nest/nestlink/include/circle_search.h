// SPDX-License-Identifier: GPL-2.0-or-later
//
// Points within a circle, by a search through square cells no smaller than the radius.

#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace cosim
{

struct Point
{
  double x;
  double y;
};

inline double
square_distance( Point left, Point right )
{
  return ( left.x - right.x ) * ( left.x - right.x ) + ( left.y - right.y ) * ( left.y - right.y );
}

class CircleSearch
{
public:
  CircleSearch( const Point* points, long count, double radius )
    : points_( points, points + count )
    , radius_( radius )
  {
    double high_x = low_.x = points[ 0 ].x, high_y = low_.y = points[ 0 ].y;
    for ( const Point& point : points_ )
    {
      low_ = { std::min( low_.x, point.x ), std::min( low_.y, point.y ) };
      high_x = std::max( high_x, point.x );
      high_y = std::max( high_y, point.y );
    }
    // A tiny radius must not make more cells than there are points.
    const double extent = std::max( high_x - low_.x, high_y - low_.y );
    side_ = std::max( radius, extent / std::ceil( std::sqrt( static_cast< double >( count ) ) ) );
    columns_ = cell( high_x - low_.x ) + 1;
    rows_ = cell( high_y - low_.y ) + 1;
    cells_.resize( columns_ * rows_ );
    for ( long i = 0; i < count; ++i )
    {
      cells_[ cell( points_[ i ].y - low_.y ) * columns_ + cell( points_[ i ].x - low_.x ) ].push_back( i );
    }
  }

  //! Write the indices of all points at most `radius` away into `found`, which is emptied before.
  void
  find( Point centre, std::vector< long >& found ) const
  {
    found.clear();
    const long column = cell( centre.x - low_.x ), row = cell( centre.y - low_.y );
    for ( long r = std::max( row - 1, 0L ); r <= std::min( row + 1, rows_ - 1 ); ++r )
    {
      for ( long c = std::max( column - 1, 0L ); c <= std::min( column + 1, columns_ - 1 ); ++c )
      {
        for ( const long i : cells_[ r * columns_ + c ] )
        {
          if ( square_distance( points_[ i ], centre ) <= radius_ * radius_ )
          {
            found.push_back( i );
          }
        }
      }
    }
  }

  //! The first of the points nearest to `centre`, other than the point `but` (-1 for none); -1 if there is
  //! none.
  long
  nearest( Point centre, long but ) const
  {
    long best = -1;
    double best_square = std::numeric_limits< double >::infinity();
    for ( long i = 0; i < static_cast< long >( points_.size() ); ++i )
    {
      const double square = square_distance( points_[ i ], centre );
      if ( i != but and square < best_square )
      {
        best = i;
        best_square = square;
      }
    }
    return best;
  }

private:
  long
  cell( double offset ) const
  {
    return static_cast< long >( std::floor( offset / side_ ) );
  }

  std::vector< Point > points_;
  double radius_;
  double side_;
  Point low_;
  long columns_;
  long rows_;
  std::vector< std::vector< long > > cells_;
};

}  // namespace cosim

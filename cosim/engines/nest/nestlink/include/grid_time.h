// SPDX-License-Identifier: GPL-2.0-or-later
//
// A time in ms as NEST's, checked.

#pragma once

#include "exceptions.h"
#include "nest_time.h"

namespace cosim
{

//! The time of a step in ms, checked.
inline nest::Time
grid_time( double duration_ms )
{
  const nest::Time duration = nest::Time::ms( duration_ms );
  if ( not duration.is_finite() or not duration.is_grid_time() or duration.get_steps() < 1 )
  {
    throw nest::BadParameter( "a step must be a positive multiple of the simulation resolution." );
  }
  return duration;
}

}  // namespace cosim

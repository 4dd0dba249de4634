// SPDX-License-Identifier: GPL-2.0-or-later
//
// A min_delay that divides the coupling step, so that steps do not cut NEST's slices.

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "grid_time.h"
#include "guard.h"
#include "reach.h"

#include "delay_checker.h"
#include "kernel_manager.h"

namespace cosim
{

using Method = void();

COSIM_REACH( UpdateDelays, nest::ConnectionManager, Method, update_delay_extrema_ )

namespace
{

//! Lower NEST's min_delay to the longest part of a step that is a whole fraction of it.
//!
//! Steps that cut NEST's slices of one min_delay give other random numbers than steps that do not. A delay that is
//! checked counts as that of a connection. Left alone are a kernel whose delays are settled, and steps that would
//! need slices of less than half of the length: each slice costs an exchange of spikes.
void
fit_min_delay( const nest::Time& step )
{
  auto& manager = nest::kernel().connection_manager;
  if ( nest::kernel().simulation_manager.has_been_simulated() or manager.get_user_set_delay_extrema() )
  {
    return;
  }
  ( manager.*reach( UpdateDelays() ) )();
  const long smallest = manager.get_min_delay();
  for ( long part = smallest; 2 * part >= smallest; --part )
  {
    if ( step.get_steps() % part == 0 )
    {
      manager.get_delay_checker().assert_valid_delay_ms( nest::Time::delay_steps_to_ms( part ) );
      return;
    }
  }
}

}  // namespace
}  // namespace cosim

using namespace cosim;

extern "C"
{

//! Make min_delay divide a step, where that costs little. After the last Connect, before Prepare. Collective.
int
nestlink_fit_min_delay( double step_ms )
{
  return guarded( [ & ] { fit_min_delay( grid_time( step_ms ) ); } );
}

}  // extern "C"

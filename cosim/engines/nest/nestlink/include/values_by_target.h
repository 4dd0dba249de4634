// SPDX-License-Identifier: GPL-2.0-or-later
//
// A generator with a value for each of its targets: see values_by_target.cpp.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "stimulation_device.h"

#include <vector>

namespace cosim
{

//! The copy on one thread has the targets there, in the order in which they were connected. Values are 0 at first.
class ValuesByTarget : public nest::StimulationDevice
{
public:
  virtual void
  set_value( size_t target, double value )
  {
    if ( target >= values_.size() )
    {
      values_.resize( target + 1, 0.0 );
    }
    values_[ target ] = value;
  }

protected:
  void
  init_state_() override
  {
    StimulationDevice::init_state();
  }

  void
  init_buffers_() override
  {
    StimulationDevice::init_buffers();
  }

  double
  value( size_t target ) const
  {
    return target < values_.size() ? values_[ target ] : 0.0;
  }

  bool
  is_active_at( const nest::Time& origin, long lag ) const
  {
    return is_active( nest::Time::step( origin.get_steps() + lag ) );
  }

  std::vector< double > values_;
};

}  // namespace cosim

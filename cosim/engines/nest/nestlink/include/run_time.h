// SPDX-License-Identifier: GPL-2.0-or-later
//
// The time of the run, which goes on when the brain begins anew, as NEST's clock then begins at 0 again.

#pragma once

#include "nest_time.h"

namespace cosim
{

//! What the run had done when NEST's clock began; set when the journal is opened.
inline nest::Time run_before;

}  // namespace cosim

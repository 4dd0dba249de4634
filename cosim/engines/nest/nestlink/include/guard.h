// SPDX-License-Identifier: GPL-2.0-or-later
//
// What every function that Python calls does with C++ exceptions: a return code and a message.

#pragma once

#include <exception>
#include <string>

namespace cosim
{

//! What the last call that failed has to say.
inline std::string last_error;

//! Run `work`; turn a C++ exception into a return code and a message.
template < typename Work >
int
guarded( Work work )
{
  try
  {
    work();
    return 0;
  }
  catch ( const std::exception& error )
  {
    last_error = error.what();
  }
  return 1;
}

}  // namespace cosim

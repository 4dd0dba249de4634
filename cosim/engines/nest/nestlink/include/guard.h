// SPDX-License-Identifier: GPL-2.0-or-later
//
// What every function that Python calls does with C++ exceptions: a return code and a message.

#pragma once

#include <array>
#include <cstdio>
#include <exception>

namespace cosim
{

//! What the last call that failed has to say. Of fixed size, as there may be no memory left to say it in.
inline std::array< char, 4096 > last_error {};

inline void
tell( const char* message ) noexcept
{
  std::snprintf( last_error.data(), last_error.size(), "%s", message );
}

//! Run `work`; turn any C++ exception into a return code and a message.
template < typename Work >
int
guarded( Work work ) noexcept
{
  try
  {
    work();
    return 0;
  }
  catch ( const std::exception& error )
  {
    tell( error.what() );
  }
  catch ( ... )
  {
    tell( "an exception that is no std::exception" );
  }
  return 1;
}

}  // namespace cosim

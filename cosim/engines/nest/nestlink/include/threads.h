// SPDX-License-Identifier: GPL-2.0-or-later
//
// Work on all threads of the kernel.

#pragma once

#include "kernel_manager.h"

#include <exception>
#include <vector>

namespace cosim
{

//! Call `work( thread )` on all threads; throws what the first thread threw that failed.
template < typename Work >
void
on_all_threads( Work work )
{
  const size_t threads = nest::kernel().vp_manager.get_num_threads();
  std::vector< std::exception_ptr > exceptions( threads );
#pragma omp parallel num_threads( static_cast< int >( threads ) )
  {
    const size_t thread = nest::kernel().vp_manager.get_thread_id();
    try
    {
      work( thread );
    }
    catch ( ... )
    {
      exceptions[ thread ] = std::current_exception();
    }
  }
  for ( const std::exception_ptr& exception : exceptions )
  {
    if ( exception )
    {
      std::rethrow_exception( exception );
    }
  }
}

}  // namespace cosim

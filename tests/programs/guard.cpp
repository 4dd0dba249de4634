// SPDX-License-Identifier: GPL-2.0-or-later
//
// Throws all that C++ can throw within `guarded`, and prints what becomes of it.

#include "guard.h"

#include <iostream>
#include <new>
#include <stdexcept>
#include <string>

int
main()
{
  using namespace cosim;
  std::cout << guarded( [] {} ) << "\n";
  std::cout << guarded( [] { throw std::runtime_error( "no such node" ); } ) << " " << last_error.data() << "\n";
  std::cout << guarded( [] { throw std::bad_alloc(); } ) << " " << last_error.data() << "\n";
  std::cout << guarded( [] { throw 7; } ) << " " << last_error.data() << "\n";
  std::cout << guarded( [] { throw std::runtime_error( std::string( 100000, 'x' ) ); } ) << " "
            << std::string( last_error.data() ).size() << "\n";
}

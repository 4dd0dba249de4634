// SPDX-License-Identifier: GPL-2.0-or-later
//
// Access to private members of NEST's classes, by the one legal way: explicit instantiation may name them.
//
//   struct Tag { using Pointer = int SomeClass::*; friend Pointer reach( Tag ); };
//   template struct cosim::Grant< Tag, &SomeClass::member_ >;
//   object.*reach( Tag() ) = 1;

#pragma once

namespace cosim
{

template < typename Tag, typename Tag::Pointer member >
struct Grant
{
  friend typename Tag::Pointer
  reach( Tag )
  {
    return member;
  }
};

}  // namespace cosim

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Access to private members of NEST's classes, by the one legal way: explicit instantiation may name them. Each member
// that is reached stands in originals.toml too.
//
//   COSIM_REACH( Clock, nest::SimulationManager, nest::Time, clock_ )    in namespace cosim
//   simulation.*reach( Clock() ) = now;

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

//! `Name` stands for a member of the type `Type` of `Class`, in this unit alone.
#define COSIM_REACH( Name, Class, Type, member ) \
  namespace                                      \
  {                                              \
  struct Name                                    \
  {                                              \
    using Pointer = Type Class::*;               \
  };                                             \
  }                                              \
  Name::Pointer reach( Name );                   \
  template struct Grant< Name, &Class::member >;

// SPDX-License-Identifier: GPL-2.0-or-later
//
// Random numbers that depend on nothing but a key and two numbers: Philox4x32-10 of Random123, which comes
// with NEST (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

#pragma once

#include <Random123/philox.h>

#include <cmath>
#include <cstdint>

namespace cosim
{

//! What a stream is used for; streams of different use are independent.
enum class Use : uint32_t
{
  pairs = 0,
  weights = 1
};

//! The random numbers of one target neuron (or of one listed pair): `item` is its index.
class RandomStream
{
public:
  RandomStream( uint64_t key, Use use, uint64_t item )
    : key_ { { static_cast< uint32_t >( key ), static_cast< uint32_t >( key >> 32 ) } }
    , counter_ { { 0, static_cast< uint32_t >( use ), static_cast< uint32_t >( item ),
        static_cast< uint32_t >( item >> 32 ) } }
  {
  }

  uint64_t
  bits()
  {
    if ( not second_ )
    {
      block_ = r123::Philox4x32()( counter_, key_ );
      ++counter_[ 0 ];
    }
    const int first = second_ ? 2 : 0;
    second_ = not second_;
    return static_cast< uint64_t >( block_[ first ] ) << 32 | block_[ first + 1 ];
  }

  //! In (0, 1], with 53 random bits.
  double
  uniform()
  {
    return static_cast< double >( ( bits() >> 11 ) + 1 ) * 0x1p-53;
  }

  //! Of mean 1.
  double
  exponential()
  {
    return -std::log( uniform() );
  }

  //! Box and Muller's pair, one at a time.
  double
  normal()
  {
    if ( has_spare_ )
    {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt( 2 * exponential() ), angle = 2 * M_PI * uniform();
    spare_ = radius * std::sin( angle );
    has_spare_ = true;
    return radius * std::cos( angle );
  }

  //! In 0 ... size - 1, each exactly as likely (Lemire 2019).
  uint64_t
  below( uint64_t size )
  {
    unsigned __int128 product = static_cast< unsigned __int128 >( bits() ) * size;
    const uint64_t unfair = -size % size;
    while ( static_cast< uint64_t >( product ) < unfair )
    {
      product = static_cast< unsigned __int128 >( bits() ) * size;
    }
    return static_cast< uint64_t >( product >> 64 );
  }

private:
  r123::Philox4x32::key_type key_;
  r123::Philox4x32::ctr_type counter_;
  r123::Philox4x32::ctr_type block_ {};
  bool second_ = false;
  bool has_spare_ = false;
  double spare_ = 0.0;
};

}  // namespace cosim

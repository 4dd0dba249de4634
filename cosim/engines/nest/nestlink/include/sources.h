// SPDX-License-Identifier: GPL-2.0-or-later
//
// Values of sources, such as the rate of a Poisson generator or the amplitude of a current, set through pointers
// that are looked up once; these are valid from Prepare on, until the next Create or ResetKernel.
//
// A generator takes some of its parameters over in its pre_run_hook, which the kernel calls at Prepare only: the rate
// of a Poisson generator set through PyNEST inside Prepare ... Cleanup reads back as it was set and changes nothing.
// The hook of every model may be called again: NEST does so at each Prepare.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "status.h"
#include "values_by_target.h"

#include "exceptions.h"
#include "kernel_manager.h"
#include "nest_time.h"
#include "node.h"
#include "vp_manager_impl.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace cosim
{

//! How values come to a node: as in cosim/devices/base.py.
enum class Way : long
{
  parameter,
  rates,
  regular_spikes,
  by_target,
  elsewhere,
};

//! What is set in nodes of consecutive ids, which all get the same, as Python lays it out.
struct Setting
{
  long node_id;
  const char* parameter;
  long nodes;
  Way way;
  long values;
  const long* targets;
};

namespace
{

using Copies = std::vector< nest::Node* >;

//! A device is on every thread; a neuron is on one, and what others have in its place takes no values.
Copies
copies_of( const Setting& setting )
{
  Copies copies;
  const size_t threads = nest::kernel().vp_manager.get_num_threads();
  for ( long node_id = setting.node_id; node_id < setting.node_id + setting.nodes; ++node_id )
  {
    for ( size_t thread = 0; thread < threads; ++thread )
    {
      nest::Node* node = nest::kernel().node_manager.get_node_or_proxy( node_id, thread );
      if ( not node->is_proxy() )
      {
        copies.push_back( node );
      }
    }
  }
  return copies;
}

void
set_status( const Copies& copies, const Dictionary& parameters )
{
  for ( nest::Node* node : copies )
  {
    node->set_status( parameters );
    node->pre_run_hook();
  }
}

//! What is made of the values of one setting.
class Source
{
public:
  virtual ~Source() = default;
  virtual void set( const double* values ) = 0;
};

//! A value is a parameter.
class ParameterSource : public Source
{
public:
  explicit ParameterSource( const Setting& setting )
    : copies_( copies_of( setting ) )
    , parameter_( setting.parameter )
    , value_( copies_.empty() ? std::numeric_limits< double >::quiet_NaN()
                              : number_in_status( *copies_.front(), parameter_ ) )
  {
  }

  void
  set( const double* values ) override
  {
    if ( *values != value_ )
    {
      Dictionary parameters;
      parameters[ parameter_ ] = *values;
      set_status( copies_, parameters );
      value_ = *values;
    }
  }

private:
  Copies copies_;
  std::string parameter_;
  double value_;
};

//! Values are rates of an inhomogeneous_poisson_generator in equal parts of the coming step; the last one stays.
class RatesSource : public Source
{
public:
  RatesSource( const Setting& setting, long step )
    : copies_( copies_of( setting ) )
    , values_( setting.values )
    , interval_( step / setting.values )
  {
    if ( step % setting.values )
    {
      throw nest::BadParameter( "rates must divide a step into parts that are multiples of the resolution." );
    }
  }

  void
  set( const double* values ) override
  {
    const long now = nest::kernel().simulation_manager.get_time().get_steps();
    std::vector< double > times_ms, rates_hz;
    for ( long i = 0; i < values_; ++i )
    {
      if ( values[ i ] != rate_hz_ )
      {
        // A rate acts in the resolution step that ends at its time.
        times_ms.push_back( nest::Time( nest::Time::step( now + i * interval_ + 1 ) ).get_ms() );
        rates_hz.push_back( values[ i ] );
        rate_hz_ = values[ i ];
      }
    }
    if ( not times_ms.empty() )
    {
      Dictionary parameters;
      parameters[ "rate_times" ] = times_ms;
      parameters[ "rate_values" ] = rates_hz;
      set_status( copies_, parameters );
    }
  }

private:
  Copies copies_;
  long values_, interval_;
  double rate_hz_ = 0.0;
};

//! The value is the rate of a spike_generator that fires whenever the integral of its rate reaches a whole number.
class RegularSource : public Source
{
public:
  RegularSource( const Setting& setting, long step )
    : copies_( copies_of( setting ) )
    , step_( step )
  {
  }

  void
  set( const double* values ) override
  {
    const long now = nest::kernel().simulation_manager.get_time().get_steps();
    if ( *values != rate_hz_ )
    {
      phase_ += per_tick() * ( now - since_ ) - fired_;
      rate_hz_ = *values;
      since_ = now;
      fired_ = 0;
    }
    std::vector< double > times_ms;
    for ( long tick = next(); tick <= now + step_; tick = next() )
    {
      times_ms.push_back( nest::Time( nest::Time::step( tick ) ).get_ms() );
      ++fired_;
    }
    if ( not times_ms.empty() )
    {
      Dictionary parameters;
      parameters[ "spike_times" ] = times_ms;
      set_status( copies_, parameters );
    }
  }

private:
  double
  per_tick() const
  {
    return rate_hz_ * nest::Time::get_resolution().get_ms() / 1000.0;
  }

  //! The resolution step at the end of which the next spike is due; an error of rounding makes it no later.
  long
  next() const
  {
    constexpr double tolerance = 1e-6;
    const double ticks = ( fired_ + 1 - phase_ ) / per_tick();
    const bool is_near = rate_hz_ > 0 and ticks < 1e15;
    return is_near ? since_ + std::max( 1L, std::lround( std::ceil( ticks - tolerance ) ) )
                   : std::numeric_limits< long >::max();
  }

  Copies copies_;
  long step_;
  double rate_hz_ = 0.0;
  //! Of the integral what was left when the rate was set, at the resolution step `since_`; spikes since then.
  double phase_ = 0.0;
  long since_ = 0;
  long fired_ = 0;
};

//! Each value is for one target of a generator; those of other ranks are left out.
class TargetsSource : public Source
{
public:
  explicit TargetsSource( const Setting& setting )
  {
    const Copies copies = copies_of( setting );
    std::vector< size_t > targets( copies.size(), 0 );
    const nest::VPManager& processes = nest::kernel().vp_manager;
    for ( long place = 0; place < setting.values; ++place )
    {
      const size_t process = processes.node_id_to_vp( setting.targets[ place ] );
      if ( processes.is_local_vp( process ) )
      {
        const size_t thread = processes.vp_to_thread( process );
        auto& generator = dynamic_cast< ValuesByTarget& >( *copies.at( thread ) );
        values_.push_back( { place, &generator, targets[ thread ]++, 0.0 } );
      }
    }
  }

  void
  set( const double* values ) override
  {
    for ( Value& each : values_ )
    {
      if ( values[ each.place ] != each.value )
      {
        each.value = values[ each.place ];
        each.generator->set_value( each.target, each.value );
      }
    }
  }

private:
  struct Value
  {
    long place;
    ValuesByTarget* generator;
    size_t target;
    double value;
  };
  std::vector< Value > values_;
};

//! What comes by other means.
class NoSource : public Source
{
public:
  void
  set( const double* ) override
  {
  }
};

//! All settings of a run, in the order of the message; `step` is the coupling step in resolution steps.
class Sources
{
public:
  Sources( const Setting* settings, long count, long step )
  {
    for ( const Setting* each = settings; each < settings + count; ++each )
    {
      sources_.push_back( { make( *each, step ), each->values } );
    }
  }

  void
  set( const double* values )
  {
    for ( const Entry& each : sources_ )
    {
      each.source->set( values );
      values += each.values;
    }
  }

private:
  struct Entry
  {
    std::unique_ptr< Source > source;
    long values;
  };

  static std::unique_ptr< Source >
  make( const Setting& setting, long step )
  {
    switch ( setting.way )
    {
    case Way::rates:
      return std::make_unique< RatesSource >( setting, step );
    case Way::regular_spikes:
      return std::make_unique< RegularSource >( setting, step );
    case Way::by_target:
      return std::make_unique< TargetsSource >( setting );
    case Way::elsewhere:
      return std::make_unique< NoSource >();
    default:
      return std::make_unique< ParameterSource >( setting );
    }
  }

  std::vector< Entry > sources_;
};

}  // namespace

}  // namespace cosim

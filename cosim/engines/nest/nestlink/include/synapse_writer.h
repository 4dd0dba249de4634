// SPDX-License-Identifier: GPL-2.0-or-later
//
// Makes the synapses of one projection on one thread, as NEST's Connect would.

#pragma once

#include "config.h"
#undef HAVE_BOOST  // see nestlink.cpp

#include "dictionary.h"

#include "node.h"

#include <cstdint>
#include <memory>

namespace cosim
{

//! What Python says of the synapses of a projection; the layout is shared with connect.py.
struct SynapseSpec
{
  const char* model;
  int is_lognormal;
  double weight;  //!< the weight itself, or mu of a lognormal one
  double sigma;
  double delay_ms;
  long receptor;
  uint64_t key;
};

class SynapseWriter
{
public:
  SynapseWriter( const SynapseSpec& spec, size_t thread );

  virtual ~SynapseWriter() = default;

  //! Make one synapse; `target` is a node of this thread and no proxy. Throws what NEST's Connect throws.
  virtual void add( size_t source, nest::Node& target, double weight );

protected:
  const size_t thread_;
  const nest::synindex model_;
  const double delay_ms_;
  Dictionary parameters_;
};

//! The fastest writer for a synapse model. `alike`: sources are neurons of one model, and targets are
//! neurons.
std::unique_ptr< SynapseWriter > make_writer( const SynapseSpec& spec, size_t thread, bool alike );

}  // namespace cosim

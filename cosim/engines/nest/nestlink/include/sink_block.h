// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a sink reads that is more than one variable of one node.

#pragma once

#include <cstdint>
#include <memory>

namespace cosim
{

//! Some values of a sink that lie one after the other in the message.
class SinkBlock
{
public:
  virtual ~SinkBlock() = default;

  //! Write to `values` what is on this rank, after every step. The values of all ranks are added up.
  virtual void read( double* values ) = 0;
};

//! What Python says of what a multimeter samples, see Samples in devices/base.py; the layout is shared with blocks.py.
struct SamplesSpec
{
  long node_id;
  const int64_t* neurons;
  long count;
  double interval_ms;
  long samples;
  long variables;
};

//! What Python says of the weights of a projection, see Weights in devices/base.py; the layout is shared with blocks.py.
struct WeightsSpec
{
  const int64_t* sources;
  long source_count;
  const int64_t* targets;
  long target_count;
  const double* edges;
  long edge_count;
  long every;
  long full_every;
};

std::unique_ptr< SinkBlock > make_samples( const SamplesSpec& spec );
std::unique_ptr< SinkBlock > make_weights( const WeightsSpec& spec );

}  // namespace cosim

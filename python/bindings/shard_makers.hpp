// Batches of the shards of a dataset that one rank has.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "batch_maker.hpp"
#include "device_maker.hpp"
#include "negpipe/run_control.hpp"
#include "negpipe/shards.hpp"

namespace negpipe::python {

/// Consecutive shards, and how to load them.
struct shard_range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  unsigned threads = 1;  ///< that load at once
};

/// The samplers of consecutive shards, in order, and the number of batches of the run, which other ranks have too.
struct shard_samplers {
  std::vector<sampler> samplers;
  std::uint64_t batch_count = 0;
};

/// Loads shards and makes a sampler of each. options: those of a shard by its number and dataset; called by several
/// threads. Throws what sharded_dataset::load and sampler throw, and infeasible_error with the shard's name.
std::vector<sampler> load_samplers(const sharded_dataset& shards, const shard_range& range,
                                   const std::function<sampler_options(std::uint32_t, const dataset&)>& options,
                                   const run_control& control);

/// Batch b has batch b of each shard, one after the other, with users numbered as in the whole dataset. A shard with
/// fewer batches delivers its first ones again, as resampled padding does, or, with padding_policy::mask, batches of
/// masked zeros.
std::shared_ptr<const batch_maker> make_shard_training_maker(const shard_samplers& source, const output_types& types);
/// The same batches in the memory of a device.
std::shared_ptr<const device_maker> make_device_shard_training_maker(const shard_samplers& source,
                                                                     const output_types& types, int device);

/// Evaluation rows of the shards' users, one shard after the other, then padding. The samplers' batches have the size
/// that is wanted, and their users are numbered by evaluation_options::first_user.
std::shared_ptr<const batch_maker> make_shard_evaluation_maker(const shard_samplers& source,
                                                               const output_types& types);

}  // namespace negpipe::python

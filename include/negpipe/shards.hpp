// Seeds of the shards of a run.
#pragma once

#include <cstdint>

namespace negpipe {

/// Returns the seed of one shard of a dataset in shards, for runs whose processes each load some of the shards.
///
/// A shard is a dataset (dataset::load_shard). Its batches are those of a sampler with this seed. Batch b of the run is
/// batch b of each shard, in the order of the shards, so it does not depend on which process has which shard.
/// Distinct shards, and runs with other numbers of shards, have unrelated seeds: the first eight bytes, little-endian,
/// of the MD5 of the text "negpipe shard SHARD of SHARDS, seed SEED".
std::uint64_t shard_seed(std::uint64_t seed, std::uint32_t shard, std::uint32_t shard_count);

}  // namespace negpipe

// Versions of the library and of its outputs.
#pragma once

#include <cstdint>

#include "negpipe/core/counter.hpp"

namespace negpipe {

inline constexpr const char* library_version = "0.1.0";

/// Raised when the bytes of any output change for the same dataset, options and seed (see CHANGELOG.md).
using core::stream_version;

/// Format of a new dataset folder. Raised when older versions can no longer read it.
inline constexpr std::uint32_t dataset_format_version = 2;
/// Format of a dataset folder in shards, and the newest that load() reads.
inline constexpr std::uint32_t sharded_dataset_format_version = 3;

}  // namespace negpipe

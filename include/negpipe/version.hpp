// Versions of the library and of its outputs.
#pragma once

#include <cstdint>

#include "negpipe/core/counter.hpp"

namespace negpipe {

inline constexpr const char* library_version = "0.1.0";

/// Raised when the bytes of any output change for the same dataset, options and seed (see CHANGELOG.md).
using core::stream_version;

/// Raised when older versions can no longer read a new dataset folder.
inline constexpr std::uint32_t dataset_format_version = 2;

}  // namespace negpipe

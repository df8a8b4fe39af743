// Versions of the library and of what it writes.
#pragma once

#include <cstdint>

#include "negpipe/core/counter.hpp"

namespace negpipe {

inline constexpr const char* library_version = "0.1.0";

/// Raised when the bytes of any output change for the same dataset, options and seed (see CHANGELOG.md).
using core::stream_version;

/// Raised when a prepared dataset folder can no longer be read by older versions.
inline constexpr std::uint32_t dataset_format_version = 1;

}  // namespace negpipe

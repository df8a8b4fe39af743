// Sizes and axes of the benchmarks.
#pragma once

#include <cstdint>
#include <string_view>

namespace negpipe::bench {

/// Measured shapes, by their names in synthesize().
inline constexpr std::string_view shapes[] = {"ml-1m", "ml-20m"};

inline constexpr std::uint64_t seed = 1;
inline constexpr std::uint32_t negatives = 4;                   // K
inline constexpr std::uint64_t batch_size = 65'536;             // B, points
inline constexpr std::uint64_t points_per_call = 16 * batch_size;  // several blocks per core
inline constexpr std::uint32_t evaluation_negatives = 999;      // E
inline constexpr std::uint64_t evaluation_batch_size = 160'000;

/// Shape of the ratings of ingest_bench.
inline constexpr std::string_view ingest_shape = "ml-20m";

/// Record files: batches in a run (about 118 MB), batches that are compressed, and number of files.
inline constexpr std::uint64_t file_batches = 256;
inline constexpr std::uint64_t gzip_file_batches = file_batches / 8;
inline constexpr std::uint32_t readers = 4;

/// Points or values compared with the core before the measurement.
inline constexpr std::uint64_t checked_points = 20'000;
inline constexpr std::uint64_t checked_rows = 4;

/// Repetitions of the ceiling measurement; the best one counts.
inline constexpr int ceiling_repetitions = 7;

}  // namespace negpipe::bench

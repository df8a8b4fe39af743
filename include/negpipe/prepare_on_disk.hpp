// prepare for ratings that do not fit the memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "negpipe/ingest.hpp"

namespace negpipe {

struct memory_limit {
  /// Memory for rows, in bytes. Ids, and about 32 bytes a user and 12 an item, come on top.
  std::uint64_t bytes;
  /// Folder for unnamed temporary files, which take temporary_bytes().
  std::filesystem::path folder;
};

/// Returns an estimate of the temporary space in bytes, from the sizes of the files and the length of their first
/// lines: 32 bytes a row. 0 if the rows fit the limit: then prepare works in memory. Throws io_error, input_error, and
/// option_error for standard input.
std::uint64_t temporary_bytes(std::span<const std::filesystem::path> files, const memory_limit& limit);

/// prepare within a limit of memory: the dataset equals that of prepare() without one, byte for byte. Rows are written
/// to unnamed files by user, and then selected, grouped and sorted file by file. Nothing is left on disk, even by a
/// kill.
/// - Only the split leave-one-out, no filter of items, and whole times: throws option_error for others.
/// - Throws disk_full_error if the folder fills up, and what prepare() throws.
dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options, const memory_limit& limit,
                const run_control& control = {}, prepare_summary* summary = nullptr);

}  // namespace negpipe

// prepare for ratings that do not fit the memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "negpipe/arrow.hpp"
#include "negpipe/ingest.hpp"

namespace negpipe {

struct memory_limit {
  /// Memory for rows, in bytes. Ids, about 32 bytes a user and 12 an item, and 4 bytes a held-out item come on top.
  std::uint64_t bytes;
  /// Folder for unnamed temporary files, which take temporary_bytes(). Need not exist if all rows of files fit.
  std::filesystem::path temporary_folder;
};

/// Returns an estimate of the temporary space in bytes, from the sizes of the files and the length of their first
/// lines: 28 bytes a row, without the 16 bytes of each time that has a fraction of a second. 0 if the rows fit the
/// limit: then prepare works in memory. Throws io_error, input_error, and option_error for standard input and for a
/// limit that is too low.
std::uint64_t temporary_bytes(std::span<const std::filesystem::path> files, const memory_limit& limit);

/// prepare within a limit of memory: the dataset equals that of prepare() without one, byte for byte. Rows are written
/// to unnamed files by user, and then selected, grouped and sorted file by file. Nothing is left on disk, even by a
/// kill. The dataset has its training positives in such a file.
/// - Every option of prepare_options applies. Filters of items, pseudo-random ties, and the splits that drop unknown
///   users and items take 1/8 byte a row on top, and read the temporary files more than once.
/// - An Arrow stream is read batch by batch, and in memory as long as its rows fit the limit.
/// - Throws io_error before rows are read if no file can be made in the folder, disk_full_error if it fills up,
///   option_error for a limit that is too low (about half a byte a row), and what prepare() throws.
dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options, const memory_limit& limit,
                const run_control& control = {}, prepare_summary* summary = nullptr);
dataset prepare(const split_files& files, const prepare_options& options, const memory_limit& limit,
                const run_control& control = {}, prepare_summary* summary = nullptr);
dataset prepare(const arrow_table& table, const prepare_options& options, const memory_limit& limit,
                const run_control& control = {}, prepare_summary* summary = nullptr);
dataset prepare(const arrow_split& tables, const prepare_options& options, const memory_limit& limit,
                const run_control& control = {}, prepare_summary* summary = nullptr);

}  // namespace negpipe

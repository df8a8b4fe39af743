#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "build.hpp"
#include "byte_stream.hpp"
#include "disk_bytes.hpp"
#include "negpipe/arrow.hpp"
#include "negpipe/error.hpp"
#include "negpipe/ingest.hpp"
#include "negpipe/prepare_on_disk.hpp"
#include "row_spool.hpp"

namespace negpipe {

namespace {

using namespace ingest;

/// Returns the number of rows of a file, estimated from its size and the length of its first lines. Compressed text is
/// taken for five times its size.
std::uint64_t estimated_rows(const std::filesystem::path& path) {
  if (path == "-") throw option_error("memory", "standard input has no size; give a file, or leave it out");
  const support::file file = support::file::open_read(path);
  constexpr std::uint64_t sampled_bytes = 1 << 16;
  std::string sample(static_cast<std::size_t>(std::min(file.size(), sampled_bytes)), '\0');
  support::read_at(file, 0, std::as_writable_bytes(std::span(sample)));
  constexpr std::uint64_t usual_row_bytes = 20;
  if (identify(path.string(), sample) != content::text) return 5 * file.size() / usual_row_bytes + 1;
  const auto lines = static_cast<std::uint64_t>(std::ranges::count(sample, '\n'));
  return lines == 0 ? 1 : file.size() / (sample.size() / lines) + 1;
}

void check_not_zero(const memory_limit& limit) {
  if (limit.bytes == 0) throw option_error("memory", "0 given, a number of bytes such as 1G wanted");
}

/// Throws now what the first temporary file would throw after rows were read.
void check_folder(const memory_limit& limit) {
  try {
    support::create_unnamed(limit.temporary_folder).close();
  } catch (const io_error& failure) {
    throw io_error("temporary_folder", fmt::format("{}; give an existing folder in which files can be made",
                                                   failure.what()));
  }
}

/// Returns the estimated number of rows of files that exceed the limit, and 0 for others.
std::uint64_t rows_beyond(std::span<const std::filesystem::path> files, const memory_limit& limit) {
  check_not_zero(limit);
  std::uint64_t rows = 0;
  for (const auto& file : files) rows += estimated_rows(file);
  if (rows <= rows_in_memory(limit.bytes)) return 0;
  check_memory(limit.bytes, rows, "about");
  return rows;
}

/// A spool for rows of files, or none if they fit the limit.
std::optional<row_spool> spool_for(std::span<const std::filesystem::path> files, const memory_limit* limit) {
  const std::uint64_t rows = limit == nullptr ? 0 : rows_beyond(files, *limit);
  if (rows == 0) return {};
  check_folder(*limit);
  const std::uint64_t partitions = (memory_of_partition(rows, 1) + limit->bytes - 1) / limit->bytes;
  return row_spool(limit->temporary_folder, {.partitions = std::clamp<std::size_t>(partitions, 2, max_partitions),
                                   .memory = limit->bytes,
                                   .is_count_known = true});
}

dataset prepare_files(std::span<const std::filesystem::path> files, const prepare_options& options,
                      const part_counts* given, const memory_limit* limit, const run_control& control,
                      prepare_summary* summary) {
  std::optional<row_spool> spool = spool_for(files, limit);
  row_spool* const rows = spool ? &*spool : nullptr;
  return build(read_ratings(files, options, control, rows), options, given, control, summary, rows);
}

dataset prepare_arrow(std::span<const arrow_table> tables, const prepare_options& options, const part_counts* given,
                      const memory_limit* limit, const run_control& control, prepare_summary* summary) {
  if (limit == nullptr) return build(read_arrow(tables, options, control), options, given, control, summary);
  check_not_zero(*limit);
  check_folder(*limit);
  // The number of rows is unknown, so there are as many partitions as can be.
  row_spool spool(limit->temporary_folder, {.partitions = max_partitions,
                                  .memory = limit->bytes,
                                  .is_count_known = false});
  return build(read_arrow(tables, options, control, &spool), options, given, control, summary, &spool);
}

/// A given split needs no times.
prepare_options without_times(prepare_options options) {
  options.table.order = row_order::file;
  options.table.time_column.clear();
  options.ties = tie_order::file;
  return options;
}

/// The tables of a given split, in the order of part_counts.
template <typename Table, typename Split>
std::vector<Table> in_order(const Split& tables) {
  std::vector<Table> all{tables.training};
  if (tables.validation) all.push_back(*tables.validation);
  all.push_back(tables.test);
  return all;
}

dataset prepare_files(std::span<const std::filesystem::path> files, const prepare_options& options,
                      const memory_limit* limit, const run_control& control, prepare_summary* summary) {
  if (files.empty()) throw option_error("no file of ratings is given");
  return prepare_files(files, options, nullptr, limit, control, summary);
}

dataset prepare_split(const split_files& files, const prepare_options& options, const memory_limit* limit,
                      const run_control& control, prepare_summary* summary) {
  if (files.training.empty()) throw option_error("no file of training ratings is given");
  if (files.test.empty()) throw option_error("no file of test ratings is given");
  std::vector<std::filesystem::path> all(files.training.begin(), files.training.end());
  all.insert(all.end(), files.validation.begin(), files.validation.end());
  all.insert(all.end(), files.test.begin(), files.test.end());
  const part_counts parts{files.training.size(), files.validation.size()};
  return prepare_files(all, without_times(options), &parts, limit, control, summary);
}

dataset prepare_split(const arrow_split& tables, const prepare_options& options, const memory_limit* limit,
                      const run_control& control, prepare_summary* summary) {
  const std::vector all = in_order<arrow_table>(tables);
  const part_counts parts{1, all.size() - 2};
  return prepare_arrow(all, without_times(options), &parts, limit, control, summary);
}

}  // namespace

std::string detected_table::to_string() const {
  std::string text =
      fmt::format("{}; user: {}, {}; item: {}, {}; ", format, user_column, user_ids, item_column, item_ids);
  text += time_column.empty() ? fmt::format("time: {}", times) : fmt::format("time: {}, {}", time_column, times);
  if (!rating_column.empty()) text += fmt::format("; rating: {}", rating_column);
  if (!assumed.empty()) text += fmt::format(" ({})", assumed);
  return text;
}

std::uint64_t temporary_bytes(std::span<const std::filesystem::path> files, const memory_limit& limit) {
  // Sets are written while partitions are freed.
  return rows_beyond(files, limit) * (sizeof(spooled_row) + sizeof(std::int32_t));
}

// ---- files

dataset prepare(const std::filesystem::path& path, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return prepare_files(std::span(&path, 1), options, nullptr, control, summary);
}

dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options,
                const run_control& control, prepare_summary* summary) {
  return prepare_files(files, options, nullptr, control, summary);
}

dataset prepare(std::span<const std::filesystem::path> files, const prepare_options& options, const memory_limit& limit,
                const run_control& control, prepare_summary* summary) {
  return prepare_files(files, options, &limit, control, summary);
}

dataset prepare(const split_files& files, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return prepare_split(files, options, nullptr, control, summary);
}

dataset prepare(const split_files& files, const prepare_options& options, const memory_limit& limit,
                const run_control& control, prepare_summary* summary) {
  return prepare_split(files, options, &limit, control, summary);
}

// ---- Arrow

dataset prepare(const arrow_table& table, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return prepare_arrow(std::span(&table, 1), options, nullptr, nullptr, control, summary);
}

dataset prepare(const arrow_table& table, const prepare_options& options, const memory_limit& limit,
                const run_control& control, prepare_summary* summary) {
  return prepare_arrow(std::span(&table, 1), options, nullptr, &limit, control, summary);
}

dataset prepare(const arrow_split& tables, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return prepare_split(tables, options, nullptr, control, summary);
}

dataset prepare(const arrow_split& tables, const prepare_options& options, const memory_limit& limit,
                const run_control& control, prepare_summary* summary) {
  return prepare_split(tables, options, &limit, control, summary);
}

// ---- columns in memory

dataset prepare(const rating_table& table, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  return build(read_columns(std::span(&table, 1), options, control), options, nullptr, control, summary);
}

dataset prepare(const split_tables& tables, const prepare_options& options, const run_control& control,
                prepare_summary* summary) {
  const std::vector all = in_order<rating_table>(tables);
  const part_counts parts{1, all.size() - 2};
  const prepare_options untimed = without_times(options);
  return build(read_columns(all, untimed, control), untimed, &parts, control, summary);
}

}  // namespace negpipe

#include <fmt/core.h>

#include <algorithm>

#include "digest.hpp"
#include "files.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::vector<feature>& features, std::string_view name, const fs::path& file) {
  const auto found = std::ranges::find(features, name, &feature::name);
  if (found == features.end()) throw format_error(fmt::format("{}: a record has no \"{}\"", file.string(), name));
  return found->bytes;
}

record::ready_file read_ready(const fs::path& folder) {
  if (!support::exists(folder / record::ready_file_name)) {
    throw format_error(
        fmt::format("{} has no {}: it was not finished; generate it again", folder.string(), record::ready_file_name));
  }
  return record::read_ready_file(folder);
}

/// Hashes one file on, and counts its records into the result. Throws format_error unless there are as many as wanted.
void hash_file(const fs::path& file, std::uint64_t wanted, std::uint64_t total, support::md5& hash, record_hash& result,
               const run_control& control) {
  if (!support::exists(file)) {
    throw format_error(fmt::format("{} is missing, which {} lists; generate the folder again", file.string(),
                                   record::ready_file_name));
  }
  record_reader reader(file);
  std::uint64_t count = 0;
  for (std::span<const std::byte> payload; reader.next(payload); ++count) {
    const auto features = parse_example(payload);
    hash.update(bytes_of(features, record::user_key, file));
    hash.update(bytes_of(features, record::item_key, file));
    if (++result.batch_count == 1) result.first_batch = hash.hex();
    control.throw_if_stopped();
    control.report({result.name, "batches", result.batch_count, total});
  }
  if (count == wanted) return;
  throw format_error(fmt::format("{} holds {} records, {} wanted by {}; generate the folder again", file.string(),
                                 count, wanted, record::ready_file_name));
}

/// A hash of part of a folder would look like one of the whole: what ready.json lists must all be there.
record_hash hash_folder(const pipeline::record_folder& folder, const run_control& control) {
  const record::ready_file ready = read_ready(folder.path);
  record_hash result{.name = folder.name, .batch_count = 0, .all_batches = {}, .first_batch = {}};
  support::md5 hash;
  const auto prefix = folder.is_evaluation ? record::evaluation_prefix : record::training_prefix;
  for (std::uint32_t f = 0; f < ready.files.size(); ++f) {
    hash_file(folder.path / record::record_file_name(prefix, f), ready.files[f].record_count, ready.batch_count, hash,
              result, control);
  }
  if (result.batch_count != ready.batch_count) {
    throw format_error(fmt::format("{}: its files hold {} records, {} batches wanted by {}; generate it again",
                                   folder.path.string(), result.batch_count, ready.batch_count,
                                   record::ready_file_name));
  }
  result.all_batches = hash.hex();
  return result;
}

}  // namespace

std::vector<record_hash> hash_records(const std::filesystem::path& folder, const run_control& control) {
  std::vector<record_hash> hashes;
  for (const auto& records : pipeline::find_record_folders(folder)) hashes.push_back(hash_folder(records, control));
  return hashes;
}

}  // namespace negpipe

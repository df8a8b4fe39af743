#include "negpipe/pipeline.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "digest.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "record_folders.hpp"

namespace negpipe {

namespace {

std::span<const std::byte> bytes_of(const std::vector<feature>& features, std::string_view name,
                                    const std::filesystem::path& file) {
  const auto found = std::ranges::find(features, name, &feature::name);
  if (found == features.end()) throw format_error(fmt::format("{}: a record has no \"{}\"", file.string(), name));
  return found->bytes;
}

record_hash hash_folder(const pipeline::record_folder& folder, const run_control& control) {
  if (!std::filesystem::exists(folder.path / record::ready_file_name)) {
    throw format_error(fmt::format("{} has no {}: it was not finished; generate it again", folder.path.string(),
                                   record::ready_file_name));
  }
  record_hash result{.name = folder.name, .batch_count = 0, .all_batches = {}, .first_batch = {}};
  support::md5 hash;
  for (const auto& file : pipeline::find_record_files(folder)) {
    record_reader reader(file);
    for (std::span<const std::byte> payload; reader.next(payload);) {
      const auto features = parse_example(payload);
      hash.update(bytes_of(features, record::user_key, file));
      hash.update(bytes_of(features, record::item_key, file));
      if (++result.batch_count == 1) result.first_batch = hash.hex();
      control.throw_if_stopped();
      control.report({folder.name, "batches", result.batch_count, 0});
    }
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

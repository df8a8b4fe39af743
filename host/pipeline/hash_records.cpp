#include <fmt/core.h>

#include "batch_columns.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "folder_writer.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw format_error(fmt::format("{}: {}; generate the folder again", path.string(), what));
}

record::ready_file read_ready(const pipeline::record_folder& folder) {
  const fs::path path = folder.path / record::ready_file_name;
  if (!support::exists(path)) refuse(path, "is missing: the folder was not finished");
  record::ready_file ready = record::read_ready_file(folder.path);
  if ((ready.kind == record::record_kind::eval) != folder.is_evaluation) {
    refuse(path, "\"kind\" does not match this folder");
  }
  return ready;
}

/// Hashes the records of one folder.
class folder_hasher {
 public:
  folder_hasher(const pipeline::record_folder& folder, const run_control& control, run_part part)
      : folder_(folder), ready_(read_ready(folder)), columns_(columns_of(ready_)), control_(control), part_(part) {
    result_.name = folder.name;
  }

  /// Throws if anything in ready.json is missing: the hash of a part could be taken for that of the whole.
  record_hash run() {
    for (std::size_t f = part_.index; f < ready_.files.size(); f += part_.count) {
      hash_file(folder_.path / ready_.files[f].name, ready_.files[f]);
    }
    result_.all_batches = hash_.hex();
    return result_;
  }

 private:
  void hash_file(const fs::path& path, const record::record_file& listed) {
    if (!support::exists(path)) refuse(path, fmt::format("is missing, which {} lists", record::ready_file_name));
    if (const auto bytes = support::file::open_read(path).size(); bytes != listed.byte_count) {
      refuse(path, fmt::format("has {} bytes, {} wanted by {}", bytes, listed.byte_count, record::ready_file_name));
    }
    record_reader reader(path, ready_.compression, max_record_payload_bytes(ready_));
    std::uint64_t count = 0;
    for (std::span<const std::byte> payload; reader.next(payload); ++count) {
      if (count == listed.record_count) {
        refuse(path, fmt::format("holds more than {} records, {} wanted by {}", count, listed.record_count,
                                 record::ready_file_name));
      }
      hash_batch(path, count, payload);
    }
    if (count == listed.record_count) return;
    refuse(path, fmt::format("holds {} records, {} wanted by {}", count, listed.record_count, record::ready_file_name));
  }

  void hash_batch(const fs::path& path, std::uint64_t number, std::span<const std::byte> payload) {
    try {
      const auto values = record::batch_columns(payload, columns_);
      hash_.update(values[0]);  // users
      hash_.update(values[1]);  // items
      if (ready_.layout == batch_layout::pairwise) hash_.update(values[2]);  // negatives
    } catch (const format_error& failure) {
      refuse(path, fmt::format("record {}: {}", number, failure.what()));
    }
    if (++result_.batch_count == 1) result_.first_batch = hash_.hex();
    control_.throw_if_stopped();
    control_.report({result_.name, "batches", result_.batch_count, ready_.batch_count});
  }

  const pipeline::record_folder& folder_;
  record::ready_file ready_;
  std::vector<record::column_spec> columns_;
  const run_control& control_;
  run_part part_;
  support::md5 hash_;
  record_hash result_;
};

}  // namespace

std::vector<record_hash> hash_records(const std::filesystem::path& folder, const run_control& control,
                                      const std::optional<run_part>& part) {
  check_part(part);
  std::vector<record_hash> hashes;
  for (const auto& records : pipeline::find_record_folders(folder)) {
    hashes.push_back(folder_hasher(records, control, part.value_or(run_part{})).run());
  }
  return hashes;
}

}  // namespace negpipe

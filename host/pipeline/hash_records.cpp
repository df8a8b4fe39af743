#include <fmt/core.h>

#include "digest.hpp"
#include "folder_writer.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/record_batches.hpp"
#include "negpipe/version.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"

namespace negpipe {

namespace {

record_batches batches_of(const pipeline::record_folder& folder, std::uint32_t part) {
  const pipeline::folder_listing listing = pipeline::read_listing(folder, part);
  const std::string path = listing.path.string();
  const record::ready_file ready = record::parse_ready_text(listing.ready_json, path);
  record_batches batches(folder.path, listing.ready_json);
  if (batches.is_training() == folder.is_evaluation) {
    throw format_error(path + ": \"kind\" does not match this folder; generate the folder again");
  }
  if (ready.stream_version == 0 || ready.stream_version > stream_version) {
    throw format_error(fmt::format("{}: \"stream_version\" is {}, 1 to {} wanted; hash it with negpipe {}", path,
                                   ready.stream_version, stream_version, ready.library_version));
  }
  return batches;
}

/// Hashes the records of one folder.
class folder_hasher {
 public:
  folder_hasher(const pipeline::record_folder& folder, const run_control& control, run_part part)
      : batches_(batches_of(folder, part.index)), control_(control), part_(part) {
    result_.name = folder.name;
  }

  /// Throws if anything in ready.json is missing: the hash of a part could be taken for that of the whole.
  record_hash run() {
    for (std::size_t f = part_.index; f < batches_.files().size(); f += part_.count) {
      record_batch_reader reader(batches_, f);
      for (std::vector<std::span<const std::byte>> values; reader.next(values);) hash_batch(values);
    }
    if (result_.batch_count != 0) result_.all_batches = hash_.hex();
    return result_;
  }

 private:
  void hash_batch(const std::vector<std::span<const std::byte>>& values) {
    hash_.update(values[0]);  // users
    hash_.update(values[1]);  // items
    if (batches_.columns()[2].name == record::negative_key) hash_.update(values[2]);
    if (++result_.batch_count == 1) result_.first_batch = hash_.hex();
    control_.throw_if_stopped();
    control_.report({result_.name, "batches", result_.batch_count, batches_.batch_count()});
  }

  record_batches batches_;
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
  for (const auto& records :
       part ? pipeline::find_folders_of_part(folder, *part) : pipeline::find_record_folders(folder)) {
    hashes.push_back(folder_hasher(records, control, part.value_or(run_part{})).run());
  }
  return hashes;
}

}  // namespace negpipe

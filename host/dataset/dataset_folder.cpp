// A dataset on disk: dataset.json and its arrays.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "description.hpp"
#include "digest.hpp"
#include "folder_reader.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"
#include "npy_file.hpp"
#include "removal.hpp"
#include "staged_dataset.hpp"
#include "staging.hpp"
#include "storage.hpp"
#include "stored_dataset.hpp"

namespace negpipe {

namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

class folder_writer {
 public:
  explicit folder_writer(const fs::path& folder) : folder_(folder) {}

  template <typename T>
  void add(const std::string& name, std::span<const T> values) {
    npy::write(folder_ / file_of(name), values);
    arrays_[name] = {{"dtype", npy::descriptor<T>()},
                     {"length", values.size()},
                     {"crc32c", hex(support::crc32c(std::as_bytes(values)))}};
  }

  /// Writes an array in shards. Shard k has the values below ends[k].
  template <typename T>
  void add(const std::string& name, std::span<const T> values, const std::vector<std::size_t>& ends) {
    if (ends.empty()) return add(name, values);
    json shards = json::array();
    for (std::size_t k = 0, first = 0; k < ends.size(); first = ends[k++]) {
      const auto shard = values.subspan(first, ends[k] - first);
      npy::write_bytes(folder_ / file_of(name, k),
                       npy::make_part_header(npy::descriptor<T>(), shard.size(), first * sizeof(T)),
                       std::as_bytes(shard));
      shards.push_back({{"length", shard.size()}, {"crc32c", hex(support::crc32c(std::as_bytes(shard)))}});
    }
    arrays_[name] = {{"dtype", npy::descriptor<T>()}, {"length", values.size()}, {"shards", shards}};
  }

  /// Writes the rows of users. past: the user after the last of each shard; empty for one file an array.
  void add_rows(const std::string& offsets_name, const std::string& items_name, const user_items& rows,
                const std::vector<std::size_t>& past) {
    add(offsets_name, rows.offsets, ends_of_offsets(past));
    add(items_name, rows.items, values_at(rows.offsets, past));
  }

  void add_user_ids(const raw_ids& ids, const std::vector<std::size_t>& past) {
    if (!ids.is_text()) return add("user_ids", ids.numbers_or_offsets(), past);
    add("user_ids_offsets", ids.numbers_or_offsets(), ends_of_offsets(past));
    add("user_ids_bytes", bytes_of(ids), values_at(ids.numbers_or_offsets(), past));
  }

  void add_ids(const std::string& name, const raw_ids& ids) {
    if (ids.is_text()) {
      add(name + "_offsets", ids.numbers_or_offsets());
      add(name + "_bytes", bytes_of(ids));
    } else {
      add(name, ids.numbers_or_offsets());
    }
  }

  json arrays() const { return arrays_; }

 private:
  static std::span<const std::uint8_t> bytes_of(const raw_ids& ids) {
    return {reinterpret_cast<const std::uint8_t*>(ids.bytes().data()), ids.bytes().size()};
  }

  // The first shard of offsets has their leading 0.
  static std::vector<std::size_t> ends_of_offsets(std::vector<std::size_t> past) {
    for (std::size_t& user : past) ++user;
    return past;
  }

  static std::vector<std::size_t> values_at(std::span<const std::int64_t> offsets,
                                            const std::vector<std::size_t>& past) {
    std::vector<std::size_t> values;
    for (const std::size_t user : past) values.push_back(static_cast<std::size_t>(offsets[user]));
    return values;
  }

  fs::path folder_;
  json arrays_ = json::object();
};

/// Returns the user after the last of each shard.
std::vector<std::size_t> shards_of(std::span<const std::int64_t> user_offsets, std::uint32_t shard_count) {
  std::vector<std::size_t> past;
  const auto positives = static_cast<std::uint64_t>(user_offsets.back());
  for (std::uint64_t k = 1; k <= shard_count; ++k) {
    const auto wanted =
        static_cast<std::int64_t>(positives / shard_count * k + positives % shard_count * k / shard_count);
    past.push_back(static_cast<std::size_t>(std::ranges::lower_bound(user_offsets, wanted) - user_offsets.begin()));
  }
  if (!past.empty()) past.back() = user_offsets.size() - 1;  // with users at the end who have no positives
  return past;
}

}  // namespace

void dataset::check_path(const fs::path& folder, bool replace, const fs::path& kept) {
  if (!kept.empty() && support::lies_in(kept, folder)) {
    throw option_error(
        fmt::format("{} lies in {}, which the dataset replaces as a whole; choose another path for one",
                    kept.string(), folder.string()));
  }
  support::check_output_folder(folder, replaceable(replace));
}

staged_dataset::staged_dataset(const dataset& data, const fs::path& folder, bool replace, std::uint32_t shard_count)
    : staged_(folder, replaceable(replace)) {
  folder_writer writer(staged_.path());
  const std::vector<std::size_t> past = shards_of(data.user_offsets(), shard_count);
  const auto add = [&](const std::string& offsets, const std::string& items, const user_items& rows) {
    writer.add_rows(offsets, items, rows, past);
  };
  add("user_offsets", "positive_items", {data.user_offsets(), data.positive_items()});
  add("test_offsets", "test_items", data.heldout(heldout_set::test));
  if (data.has_validation()) add("validation_offsets", "validation_items", data.heldout(heldout_set::validation));
  writer.add_user_ids(data.user_ids(), past);
  writer.add_ids("item_ids", data.item_ids());
  write_description(staged_.path(), describe(data, shard_count != 0), writer.arrays());
}

void dataset::save(const fs::path& folder, bool replace, std::uint32_t shard_count) const {
  if (shard_count > max_shards) {
    throw option_error("shards", fmt::format("is {}, wanted at most {}", shard_count, max_shards));
  }
  staged_dataset staged(*this, folder, replace, shard_count);
  staged.take_path();
  staged.settle();
}

void dataset::check_unchanged() const {
  const auto fail = [](const fs::path& path) {
    throw io_error(path.string() + " was changed while it was in use, so what was made from it may be wrong; restore "
                                   "the dataset and run again");
  };
  for (const support::file_contents& contents : owner_->contents) {
    if (const auto& mapping = contents.mapping(); mapping && !mapping->is_unchanged()) fail(mapping->path());
  }
  for (const support::joined_files& joined : owner_->joined) {
    if (const auto changed = joined.find_changed()) fail(*changed);
  }
}

dataset dataset::load(const fs::path& path, std::uint64_t map_from_bytes) {
  return dataset(stored{path}.read(map_from_bytes));
}

}  // namespace negpipe

// The arrays of a dataset's folder, in one file or in shards.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "digest.hpp"
#include "files.hpp"
#include "joined_files.hpp"
#include "json_text.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"
#include "npy_file.hpp"

namespace negpipe {

inline constexpr std::string_view description_file = "dataset.json";
inline constexpr std::string_view remedy = "prepare the dataset again";

inline std::string hex(std::uint32_t crc) { return fmt::format("{:08x}", crc); }

inline std::string file_of(const std::string& array) { return array + ".npy"; }
inline std::string file_of(const std::string& array, std::size_t shard) {
  return fmt::format("{}.{:05}.npy", array, shard);
}

/// Reads or maps arrays, and checks them against their entries in dataset.json.
class folder_reader {
 public:
  folder_reader(std::filesystem::path folder, support::json_fields arrays, std::uint64_t map_from_bytes,
                std::vector<support::file_contents>& contents, std::vector<support::joined_files>& joined,
                npy::listing listed = {})
      : listed_(listed),
        folder_(std::move(folder)),
        arrays_(std::move(arrays)),
        map_from_bytes_(map_from_bytes),
        contents_(contents),
        joined_(joined) {}

  template <typename T>
  std::span<const T> get(const std::string& name) {
    const support::json_fields entry = arrays_.object(name);
    types_.emplace(name, npy::descriptor<T>());
    const auto count = entry.number<std::uint64_t>("length");
    if (entry.contains("shards")) return get_shards<T>(name, entry, count);
    const std::filesystem::path path = existing(file_of(name));
    const support::file_contents& file =
        contents_.emplace_back(npy::read_file(path, npy::descriptor<T>(), count, sizeof(T), map_from_bytes_));
    const auto bytes = npy::values_of(file, path, npy::descriptor<T>(), count, sizeof(T));
    check_crc(path, bytes, entry);
    return {reinterpret_cast<const T*>(bytes.data()), static_cast<std::size_t>(count)};
  }

  /// The values of one shard of an array, and the number of values before it.
  template <typename T>
  struct shard_of {
    std::uint64_t first;
    std::span<const T> values;
  };

  /// Reads or maps shard k of an array that must have wanted_count shards. Opens no other file.
  template <typename T>
  shard_of<T> get_shard(const std::string& name, std::size_t k, std::size_t wanted_count) {
    const support::json_fields entry = arrays_.object(name);
    const auto count = entry.number<std::uint64_t>("length");
    check_length<T>(entry, count);
    if (shard_count(entry) != wanted_count) {
      entry.fail(fmt::format("there are {} shards, wanted {}", shard_count(entry), wanted_count));
    }
    std::uint64_t first = 0;
    for (std::size_t j = 0; j < k; ++j) {
      first += entry.element("shards", j).number<std::uint64_t>("length", count - first);
    }
    const support::json_fields shard = entry.element("shards", k);
    const std::uint64_t skipped = first * sizeof(T) % npy::part_alignment;
    support::joined_files& joined =
        joined_.emplace_back(skipped + shard.number<std::uint64_t>("length", count - first) * sizeof(T));
    joined.skip(skipped);
    const auto bytes = append<T>(joined, name, k, first, shard, count);
    return {first, {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)}};
  }

  /// Throws format_error if there is an array that was not read, or one of another type. For arrays of other programs:
  /// in dataset.json, a later version of negpipe may describe more.
  void require_all_read(const nlohmann::ordered_json& arrays) const {
    for (const auto& [name, entry] : arrays.items()) {
      const auto found = types_.find(name);
      if (found == types_.end()) arrays_.fail(fmt::format("\"{}\" is not an array of a dataset; remove it", name));
      if (const std::string type = arrays_.object(name).text("dtype"); type != found->second) {
        arrays_.object(name).fail_at("dtype", fmt::format("\"{}\"", found->second));
      }
    }
  }

  bool has(const std::string& name) const { return arrays_.contains(name); }

  user_items get_rows(const std::string& name) {
    return {get<std::int64_t>(name + "_offsets"), get<std::int32_t>(name + "_items")};
  }

  raw_ids get_ids(const std::string& name) {
    if (arrays_.contains(name)) return raw_ids(get<std::int64_t>(name));
    const auto offsets = get<std::int64_t>(name + "_offsets");
    const auto bytes = get<std::uint8_t>(name + "_bytes");
    return raw_ids(offsets, std::span(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

 private:
  std::filesystem::path existing(const std::string& name) const {
    std::filesystem::path path = folder_ / name;
    if (support::exists(path)) return path;
    throw format_error(fmt::format("{} is missing, but {} lists it; {}", path.string(), listed_.file, listed_.remedy));
  }

  void check_crc(const std::filesystem::path& path, std::span<const std::byte> bytes,
                 const support::json_fields& entry) const {
    if (const std::uint32_t crc = support::crc32c(bytes); crc != entry.checksum("crc32c")) {
      throw format_error(fmt::format("{}: its checksum is {}, wanted {}: the file was damaged or changed; {}",
                                     path.string(), hex(crc), entry.text("crc32c"), listed_.remedy));
    }
  }

  template <typename T>
  std::span<const T> get_shards(const std::string& name, const support::json_fields& entry, std::uint64_t count) {
    check_length<T>(entry, count);
    support::joined_files& joined = joined_.emplace_back(count * sizeof(T));
    std::uint64_t first = 0;
    for (std::size_t k = 0; k < shard_count(entry); ++k) {
      append<T>(joined, name, k, first, entry.element("shards", k), count);
      first += entry.element("shards", k).number<std::uint64_t>("length", count - first);
    }
    if (first != count) entry.fail_at("length", fmt::format("{}, the sum of its shards", first));
    return {reinterpret_cast<const T*>(joined.bytes().data()), static_cast<std::size_t>(count)};
  }

  template <typename T>
  static void check_length(const support::json_fields& entry, std::uint64_t count) {
    constexpr std::uint64_t max_values = std::numeric_limits<std::int64_t>::max() / sizeof(T);
    if (count > max_values) entry.fail_at("length", fmt::format("at most {}", max_values));
  }

  static std::size_t shard_count(const support::json_fields& entry) {
    const std::size_t count = entry.array("shards").size();
    if (count > max_shards) entry.fail(fmt::format("there are {} shards, wanted at most {}", count, max_shards));
    return count;
  }

  /// Appends shard k, which begins at value `first` of the array's `count`. Returns its bytes.
  template <typename T>
  std::span<const std::byte> append(support::joined_files& joined, const std::string& name, std::size_t k,
                                    std::uint64_t first, const support::json_fields& shard, std::uint64_t count) const {
    const auto length = shard.number<std::uint64_t>("length", count - first);
    const std::filesystem::path path = existing(file_of(name, k));
    const std::string header = npy::make_part_header(npy::descriptor<T>(), length, first * sizeof(T));
    npy::check_part(path, header, length * sizeof(T), listed_);
    const std::size_t before = joined.bytes().size();
    joined.append(path, header.size(), length * sizeof(T), count * sizeof(T) >= map_from_bytes_);
    const auto bytes = joined.bytes().subspan(before);
    check_crc(path, bytes, shard);
    return bytes;
  }

  npy::listing listed_;
  std::filesystem::path folder_;
  support::json_fields arrays_;
  std::uint64_t map_from_bytes_;
  std::map<std::string, std::string_view> types_;  // of the arrays that were read
  std::vector<support::file_contents>& contents_;
  std::vector<support::joined_files>& joined_;
};

}  // namespace negpipe

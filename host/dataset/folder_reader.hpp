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

/// The shards of an array, as dataset.json lists them.
struct shard_list {
  std::vector<std::uint64_t> firsts = {0};  ///< the first value of each shard, and the number of all values
  std::vector<std::uint32_t> checksums;

  std::uint64_t count() const { return firsts.back(); }
};

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
    if (entry.contains("shards")) return get_shards<T>(name);
    const auto count = entry.number<std::uint64_t>("length");
    const std::filesystem::path path = existing(file_of(name));
    const support::file_contents& file =
        contents_.emplace_back(npy::read_file(path, npy::descriptor<T>(), count, sizeof(T), map_from_bytes_));
    const auto bytes = npy::values_of(file, path, npy::descriptor<T>(), count, sizeof(T));
    check_crc(path, bytes, entry.checksum("crc32c"));
    return {reinterpret_cast<const T*>(bytes.data()), static_cast<std::size_t>(count)};
  }

  /// Returns the shards of an array of values of type T, after checking that there are at most max_shards, whose
  /// lengths add up.
  template <typename T>
  shard_list list_shards(const std::string& name) const {
    const support::json_fields entry = arrays_.object(name);
    const auto count = entry.number<std::uint64_t>("length");
    constexpr std::uint64_t max_values = std::numeric_limits<std::int64_t>::max() / sizeof(T);
    if (count > max_values) entry.fail_at("length", fmt::format("at most {}", max_values));
    const std::size_t shards = entry.array("shards").size();
    if (shards > max_shards) entry.fail(fmt::format("there are {} shards, wanted at most {}", shards, max_shards));
    shard_list list;
    for (std::size_t k = 0; k < shards; ++k) {
      const support::json_fields shard = entry.element("shards", k);
      const std::uint64_t first = list.firsts.back();
      list.firsts.push_back(first + shard.number<std::uint64_t>("length", count - first));
      list.checksums.push_back(shard.checksum("crc32c"));
    }
    if (list.count() != count) entry.fail_at("length", fmt::format("{}, the sum of its shards", list.count()));
    return list;
  }

  /// Reads or maps shard k of an array. Opens no other file.
  template <typename T>
  std::span<const T> get_shard(const std::string& name, const shard_list& list, std::size_t k) {
    const std::uint64_t skipped = list.firsts[k] * sizeof(T) % npy::part_alignment;
    support::joined_files& joined = joined_.emplace_back(skipped + (list.firsts[k + 1] - list.firsts[k]) * sizeof(T));
    joined.skip(skipped);
    const auto bytes = append<T>(joined, name, list, k);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
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

  void check_crc(const std::filesystem::path& path, std::span<const std::byte> bytes, std::uint32_t wanted) const {
    if (const std::uint32_t crc = support::crc32c(bytes); crc != wanted) {
      throw format_error(fmt::format("{}: its checksum is {}, wanted {}: the file was damaged or changed; {}",
                                     path.string(), hex(crc), hex(wanted), listed_.remedy));
    }
  }

  template <typename T>
  std::span<const T> get_shards(const std::string& name) {
    const shard_list list = list_shards<T>(name);
    support::joined_files& joined = joined_.emplace_back(list.count() * sizeof(T));
    for (std::size_t k = 0; k < list.checksums.size(); ++k) append<T>(joined, name, list, k);
    return {reinterpret_cast<const T*>(joined.bytes().data()), static_cast<std::size_t>(list.count())};
  }

  /// Appends shard k. Returns its bytes.
  template <typename T>
  std::span<const std::byte> append(support::joined_files& joined, const std::string& name, const shard_list& list,
                                    std::size_t k) const {
    const std::uint64_t length = list.firsts[k + 1] - list.firsts[k];
    const std::filesystem::path path = existing(file_of(name, k));
    const std::string header = npy::make_part_header(npy::descriptor<T>(), length, list.firsts[k] * sizeof(T));
    npy::check_part(path, header, length * sizeof(T), listed_);
    const std::size_t before = joined.bytes().size();
    joined.append(path, header.size(), length * sizeof(T), list.count() * sizeof(T) >= map_from_bytes_);
    const auto bytes = joined.bytes().subspan(before);
    check_crc(path, bytes, list.checksums[k]);
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

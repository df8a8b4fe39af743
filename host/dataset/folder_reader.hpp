// The arrays of a dataset's folder, in one file or in shards.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
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
                std::vector<support::file_contents>& contents, std::vector<support::joined_files>& joined)
      : folder_(std::move(folder)),
        arrays_(std::move(arrays)),
        map_from_bytes_(map_from_bytes),
        contents_(contents),
        joined_(joined) {}

  template <typename T>
  std::span<const T> get(const std::string& name) {
    const support::json_fields entry = arrays_.object(name);
    const auto count = entry.number<std::uint64_t>("length");
    if (entry.contains("shards")) return get_shards<T>(name, entry, count);
    const std::filesystem::path path = existing(file_of(name));
    const support::file_contents& file =
        contents_.emplace_back(npy::read_file(path, npy::descriptor<T>(), count, sizeof(T), map_from_bytes_));
    const auto bytes = npy::values_of(file, path, npy::descriptor<T>(), count, sizeof(T));
    check_crc(path, bytes, entry);
    return {reinterpret_cast<const T*>(bytes.data()), static_cast<std::size_t>(count)};
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
    throw format_error(fmt::format("{} is missing, but {} lists it; {}", path.string(), description_file, remedy));
  }

  static void check_crc(const std::filesystem::path& path, std::span<const std::byte> bytes,
                        const support::json_fields& entry) {
    if (const std::uint32_t crc = support::crc32c(bytes); crc != entry.checksum("crc32c")) {
      throw format_error(fmt::format("{}: its checksum is {}, wanted {}: the file was damaged or changed; {}",
                                     path.string(), hex(crc), entry.text("crc32c"), remedy));
    }
  }

  template <typename T>
  std::span<const T> get_shards(const std::string& name, const support::json_fields& entry, std::uint64_t count) {
    constexpr std::uint64_t max_values = std::numeric_limits<std::int64_t>::max() / sizeof(T);
    if (count > max_values) entry.fail_at("length", fmt::format("at most {}", max_values));
    support::joined_files& joined = joined_.emplace_back(count * sizeof(T));
    const std::size_t shard_count = entry.array("shards").size();
    if (shard_count > max_shards) {
      entry.fail(fmt::format("there are {} shards, wanted at most {}", shard_count, max_shards));
    }
    std::uint64_t first = 0;
    for (std::size_t k = 0; k < shard_count; ++k) {
      const support::json_fields shard = entry.element("shards", k);
      const auto length = shard.number<std::uint64_t>("length", count - first);
      const std::filesystem::path path = existing(file_of(name, k));
      const std::string header = npy::make_part_header(npy::descriptor<T>(), length, first * sizeof(T));
      npy::check_part(path, header, length * sizeof(T));
      joined.append(path, header.size(), length * sizeof(T), count * sizeof(T) >= map_from_bytes_);
      check_crc(path, joined.bytes().subspan(first * sizeof(T)), shard);
      first += length;
    }
    if (first != count) entry.fail_at("length", fmt::format("{}, the sum of its shards", first));
    return {reinterpret_cast<const T*>(joined.bytes().data()), static_cast<std::size_t>(count)};
  }

  std::filesystem::path folder_;
  support::json_fields arrays_;
  std::uint64_t map_from_bytes_;
  std::vector<support::file_contents>& contents_;
  std::vector<support::joined_files>& joined_;
};

}  // namespace negpipe

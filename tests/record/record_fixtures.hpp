// Files as byte vectors, and records for them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checksum.hpp"
#include "digest.hpp"
#include "example_encoder.hpp"
#include "format.hpp"
#include "little_endian.hpp"
#include "negpipe/tfrecord.hpp"

namespace negpipe::test {

using bytes = std::vector<std::byte>;

inline bytes as_bytes(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

inline bytes read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return as_bytes(text);
}

inline void write_bytes(const std::filesystem::path& path, std::span<const std::byte> content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  EXPECT_TRUE(out) << path;
}

/// TFRecord framing, written independently of the encoder.
inline bytes frame(std::span<const std::byte> payload) {
  bytes out(record::frame_header_bytes);
  record::store_le<std::uint64_t>(out.data(), payload.size());
  record::store_le<std::uint32_t>(out.data() + 8, record::mask_crc(support::crc32c(std::span(out).first(8))));
  out.insert(out.end(), payload.begin(), payload.end());
  out.resize(out.size() + record::frame_footer_bytes);
  record::store_le<std::uint32_t>(out.data() + out.size() - 4, record::mask_crc(support::crc32c(payload)));
  return out;
}

inline bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  bytes out(count);
  for (auto& byte : out) byte = static_cast<std::byte>(generator());
  return out;
}

/// A whole record with random columns.
inline bytes random_record(const record::record_template& shape, std::span<const record::column_spec> columns,
                           unsigned seed) {
  std::vector<bytes> values;
  for (const auto& column : columns) values.push_back(random_bytes(column.byte_count, seed++));
  const std::vector<std::span<const std::byte>> views(values.begin(), values.end());
  bytes out(shape.record_bytes());
  shape.encode(views, out);
  return out;
}

/// The payloads of all records of a file.
inline std::vector<bytes> read_payloads(const std::filesystem::path& path) {
  record_reader reader(path);
  std::vector<bytes> payloads;
  for (std::span<const std::byte> payload; reader.next(payload);) payloads.emplace_back(payload.begin(), payload.end());
  return payloads;
}

}  // namespace negpipe::test

#include "negpipe/record_batches.hpp"

#include <fmt/core.h>

#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>

#include "batch_columns.hpp"
#include "files.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "ready_file.hpp"

namespace negpipe {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw format_error(fmt::format("{}: {}; generate the folder again", path.string(), what));
}

/// Throws format_error unless a path leads to a regular file. Accepts paths that the system cannot follow (no
/// permission, a circle of links): opening them fails with the system's error.
void require_regular(const fs::path& path, const std::string& if_missing) {
  std::error_code failure;
  const fs::file_status found = fs::status(path, failure);
  const bool missing = found.type() == fs::file_type::not_found;
  if (found.type() == fs::file_type::regular || (failure && !missing)) return;
  refuse(path, missing ? if_missing : "is not a regular file");
}

std::vector<record_column> columns_in(const record::ready_file& ready) {
  std::vector<record_column> columns;
  for (const record::column_spec& spec : columns_of(ready)) {
    const bool is_user = spec.name == record::user_key;
    const bool is_item = spec.name == record::item_key || spec.name == record::negative_key;
    columns.push_back({std::string(spec.name),
                       is_user ? 4U : is_item ? static_cast<std::uint32_t>(item_bytes(ready.items)) : 1U,
                       {ready.batch_size}});
    if (spec.name == record::negative_key) columns.back().shape.push_back(ready.negatives);
  }
  return columns;
}

std::string text_in(const fs::path& folder) {
  const fs::path path = folder / record::ready_file_name;
  require_regular(path, "is missing: the folder was not finished");
  return support::read_text(path, support::max_json_bytes);
}

}  // namespace

struct record_batches::state {
  state(const fs::path& of, std::string ready_json) : folder(of), text(std::move(ready_json)) {
    ready = record::parse_ready_text(text, (folder / record::ready_file_name).string());
    specs = columns_of(ready);
    columns = columns_in(ready);
    for (const record::record_file& file : ready.files) files.push_back(file.name);
  }

  /// Returns the path of a record file after checking its size.
  fs::path checked_file(std::size_t number) const {
    const record::record_file& listed = ready.files[number];
    const fs::path path = folder / listed.name;
    require_regular(path, fmt::format("is missing, which {} lists", record::ready_file_name));
    if (const auto bytes = support::file::open_read(path).size(); bytes != listed.byte_count) {
      refuse(path, fmt::format("has {} bytes, {} wanted by {}", bytes, listed.byte_count, record::ready_file_name));
    }
    return path;
  }

  fs::path folder;
  std::string text;
  record::ready_file ready;
  std::vector<record::column_spec> specs;
  std::vector<record_column> columns;
  std::vector<std::string> files;
};

record_batches::record_batches(const fs::path& folder) : record_batches(folder, text_in(folder)) {}

record_batches::record_batches(const fs::path& folder, const std::string& ready_json)
    : state_(std::make_shared<const state>(folder, ready_json)) {}

const fs::path& record_batches::folder() const { return state_->folder; }
const std::string& record_batches::ready_json() const { return state_->text; }
bool record_batches::is_training() const { return state_->ready.kind == record::record_kind::train; }
std::uint64_t record_batches::batch_size() const { return state_->ready.batch_size; }
std::uint64_t record_batches::batch_count() const { return state_->ready.batch_count; }
compression_type record_batches::compression() const { return state_->ready.compression; }
const std::vector<record_column>& record_batches::columns() const { return state_->columns; }
const std::vector<std::string>& record_batches::files() const { return state_->files; }

void record_batches::check_files() const {
  for (std::size_t i = 0; i < state_->files.size(); ++i) static_cast<void>(state_->checked_file(i));
}

namespace {

/// Moves the values of each column to an address that is aligned to their type: by at most 3 bytes to the front, where
/// the tags and lengths of their feature are, at least 4 bytes that nothing reads again.
void align(std::span<const record_column> columns, std::span<std::span<const std::byte>> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t excess = reinterpret_cast<std::uintptr_t>(values[i].data()) % columns[i].value_bytes;
    if (excess == 0) continue;
    auto* const from = const_cast<std::byte*>(values[i].data());  // in memory of the reader, which it allocated
    std::memmove(from - excess, from, values[i].size());
    values[i] = {from - excess, values[i].size()};
  }
}

}  // namespace

struct record_batch_reader::state {
  state(std::shared_ptr<const record_batches::state> of, std::size_t file)
      : batches(std::move(of)),
        listed(batches->ready.files.at(file)),
        path(batches->checked_file(file)),
        reader(path, batches->ready.compression, max_record_payload_bytes(batches->ready)) {}

  std::shared_ptr<const record_batches::state> batches;
  const record::record_file& listed;
  fs::path path;
  record_reader reader;
  std::uint64_t count = 0;  ///< batches read
};

record_batch_reader::record_batch_reader(const record_batches& batches, std::size_t file)
    : state_(std::make_unique<state>(batches.state_, file)) {}
record_batch_reader::~record_batch_reader() = default;
record_batch_reader::record_batch_reader(record_batch_reader&&) noexcept = default;
record_batch_reader& record_batch_reader::operator=(record_batch_reader&&) noexcept = default;

std::shared_ptr<const std::byte[]> record_batch_reader::share() { return state_->reader.share(); }

bool record_batch_reader::next(std::vector<std::span<const std::byte>>& values) {
  state& s = *state_;
  std::span<const std::byte> payload;
  if (!s.reader.next(payload)) {
    if (s.count != s.listed.record_count) {
      refuse(s.path, fmt::format("holds {} records, {} wanted by {}", s.count, s.listed.record_count,
                                 record::ready_file_name));
    }
    if (const auto found = s.reader.file_crc32c(); found != s.listed.crc32c) {
      refuse(s.path, fmt::format("its CRC-32C is {:08x}, {:08x} wanted by {}: it was damaged, or is another file that "
                                 "was put in its place", found, s.listed.crc32c, record::ready_file_name));
    }
    return false;
  }
  if (s.count == s.listed.record_count) {
    refuse(s.path, fmt::format("holds more than {} records, {} wanted by {}", s.count, s.listed.record_count,
                               record::ready_file_name));
  }
  try {
    values = record::batch_columns(payload, s.batches->specs);
  } catch (const format_error& failure) {
    refuse(s.path, fmt::format("record {}: {}", s.count, failure.what()));
  }
  align(s.batches->columns, values);
  ++s.count;
  return true;
}

}  // namespace negpipe

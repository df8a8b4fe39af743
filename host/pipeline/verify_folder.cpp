#include "verify_folder.hpp"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "batch_columns.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "index_check.hpp"
#include "negpipe/error.hpp"
#include "record_claims.hpp"

namespace negpipe::pipeline {

namespace fs = std::filesystem;

namespace {

/// Checks one folder: ready.json against the dataset, files against ready.json, records against all guarantees.
///
/// The first pass compares whole batches. Only if a batch or a sum differs, a second pass reads the records again and
/// compares value by value, to report what is wrong.
class folder_verifier {
 public:
  folder_verifier(const verification& run, const record_folder& folder)
      : run_(run), folder_(folder), claims_(run, folder) {}

  void run() {
    if (!claims_.read()) return;
    check_for_other_files();
    for_each_file([&](std::uint32_t f) { points_total_ += layout().batches_in(f) * ready().batch_size; });
    for_each_file([&](std::uint32_t f) { read_file(f); });
    // With missing records, which are reported already, all sums differ.
    if (differs_ || (is_whole() && !claims_.batch_check().concludes())) find_differences();
  }

 private:
  /// A record to be checked by a thread, and the findings.
  struct pending_record {
    std::uint64_t number;  ///< index within its file
    std::uint64_t batch;
    std::vector<std::byte> payload;
    findings found;
    bool was_checked;      ///< false if its columns could not be read
    bool agrees = true;    ///< result of the first pass; true if its columns could not be read
  };
  /// The state of reading one file.
  struct file_scan {
    std::uint64_t first_batch;
    std::uint64_t wanted;  ///< records
    std::uint64_t count = 0;
    std::uint64_t offset = 0;
    std::optional<index_check> index = {};
    std::string damage = {};  ///< why reading stopped
    bool ended = false;
  };

  template <typename Body>
  void for_each_file(const Body& body) const {
    const run_part part = run_.options.part.value_or(run_part{});
    for (std::uint32_t f = part.index; f < layout().file_count; f += part.count) body(f);
  }
  /// Returns whether all records of the folder were checked.
  bool is_whole() const { return complete_ && !run_.options.part; }
  const record::ready_file& ready() const { return claims_.ready(); }
  const file_layout& layout() const { return claims_.layout(); }
  record_columns columns_of(std::span<const std::byte> payload) const;
  void check_for_other_files() const;
  bool check_file(const fs::path& path, const record::record_file& listed, std::uint64_t records) const;
  std::optional<index_check> open_index(const fs::path& path) const;
  void read_file(std::uint32_t number);
  void read_records(const fs::path& path, file_scan& scan);
  std::vector<pending_record> read_some(record_reader& reader, file_scan& scan) const;
  void check_records(const fs::path& path, std::vector<pending_record>& records);
  void check_record(pending_record& record) const;
  void find_differences();
  void explain_file(std::uint32_t number, record_checker& checker);

  const verification& run_;
  const record_folder& folder_;
  record_claims claims_;
  std::uint64_t points_done_ = 0;
  std::uint64_t points_total_ = 0;
  bool complete_ = true;
  bool differs_ = false;
};

record_columns folder_verifier::columns_of(std::span<const std::byte> payload) const {
  const auto values = record::batch_columns(payload, claims_.columns());
  const std::span<const std::byte> none = values[0].first(0);
  const bool pairwise = ready().layout == batch_layout::pairwise;
  return {values[0],
          values[1],
          pairwise ? none : values[2],
          pairwise ? values[2] : none,
          values.size() > 3 ? values[3] : none,
          ready().items};
}

/// Reports unlisted record files, which a reader's pattern would match.
void folder_verifier::check_for_other_files() const {
  std::set<std::string> names;
  for (const auto& file : ready().files) names.insert(file.name);
  for (const auto& path : find_record_files(folder_)) {
    if (!names.contains(path.filename().string())) run_.fail(path, "is not listed in ready.json");
  }
}

/// Compares a file with its entry in ready.json. Returns false if it is missing.
bool folder_verifier::check_file(const fs::path& path, const record::record_file& listed,
                                 std::uint64_t records) const {
  claims_.expect(listed.name + ": record_count", listed.record_count, records);
  if (!support::exists(path)) {
    run_.fail(path, "is missing");
    return false;
  }
  const support::mapped_file file(path);
  if (file.bytes().size() != listed.byte_count) {
    run_.fail(path, fmt::format("has {} bytes, {} wanted by ready.json", file.bytes().size(), listed.byte_count));
  } else if (const auto found = support::crc32c(file); found != listed.crc32c) {
    run_.fail(path, fmt::format("its CRC-32C is {:08x}, {:08x} wanted by ready.json", found, listed.crc32c));
  }
  return true;
}

std::optional<index_check> folder_verifier::open_index(const fs::path& path) const {
  if (ready().compression != compression_type::none) return {};
  const fs::path index = path.string() + std::string(record::index_suffix);
  if (support::exists(index)) return index_check(index);
  run_.fail(index, "is missing");
  return {};
}

/// Reads the next records: enough to keep all threads busy, but at most one more than the file should hold.
std::vector<folder_verifier::pending_record> folder_verifier::read_some(record_reader& reader, file_scan& scan) const {
  constexpr std::uint64_t max_bytes = std::uint64_t{64} << 20;
  // Batch 0 is read alone: the checks of padding need it before all others.
  const std::size_t max_records = scan.first_batch + scan.count == 0 ? 1 : 4 * run_.pool.thread_count();
  std::vector<pending_record> records;
  std::span<const std::byte> payload;
  try {
    for (std::uint64_t bytes = 0; records.size() < max_records && bytes < max_bytes; bytes += payload.size()) {
      if (!reader.next(payload)) {
        scan.ended = true;
        break;
      }
      const std::uint64_t frame = payload.size() + record::frame_bytes;
      if (scan.index) scan.index->expect(scan.offset, frame);
      scan.offset += frame;
      const std::uint64_t number = scan.count++;
      if (number == scan.wanted) {
        scan.ended = true;
        break;
      }
      records.push_back({number, scan.first_batch + number, {payload.begin(), payload.end()}, {}, false});
    }
  } catch (const format_error& e) {
    scan.damage = e.what();
    scan.ended = true;
  }
  return records;
}

void folder_verifier::read_file(std::uint32_t number) {
  const fs::path path = folder_.path / ready().files[number].name;
  file_scan scan{.first_batch = layout().first_batch(number), .wanted = layout().batches_in(number)};
  if (!check_file(path, ready().files[number], scan.wanted)) {
    complete_ = false;
    return;
  }
  ++run_.report.file_count;
  scan.index = open_index(path);
  read_records(path, scan);
  if (!scan.damage.empty()) {
    complete_ = false;
    run_.fail(path, scan.damage);
    return;
  }
  if (scan.count != scan.wanted) {
    complete_ = false;
    run_.fail(path, fmt::format("holds {}{} records, {} wanted: batches {} up to, not including, {}",
                                scan.count > scan.wanted ? "at least " : "", scan.count, scan.wanted, scan.first_batch,
                                scan.first_batch + scan.wanted));
  } else if (scan.index && !scan.index->is_right()) {
    run_.fail(path.string() + std::string(record::index_suffix),
              "does not hold the offset and length of every record");
  }
}

void folder_verifier::read_records(const fs::path& path, file_scan& scan) {
  try {
    record_reader reader(path, ready().compression, max_record_payload_bytes(ready()));
    while (!scan.ended) {
      auto records = read_some(reader, scan);
      check_records(path, records);
    }
  } catch (const format_error& e) {
    scan.damage = e.what();
  }
}

void folder_verifier::check_records(const fs::path& path, std::vector<pending_record>& records) {
  run_.control.throw_if_stopped();
  if (records.empty()) return;
  run_.pool.for_each(records.size(), [&](std::uint64_t i) { check_record(records[i]); });
  for (const auto& record : records) {
    complete_ = complete_ && record.was_checked;
    differs_ = differs_ || !record.agrees;
    run_.fail(path, fmt::format("record {}, ", record.number), record.found);
  }
  const std::uint64_t points = records.size() * ready().batch_size;
  points_done_ += points;
  run_.report.record_count += records.size();
  run_.report.point_count += points;
  run_.control.report({folder_.name, "points", points_done_, points_total_});
}

void folder_verifier::check_record(pending_record& record) const {
  try {
    const record_columns columns = columns_of(record.payload);
    record.was_checked = true;
    record.agrees = claims_.batch_check().agrees(record.batch, columns);
  } catch (const format_error& e) {
    record.found.add("{}", e.what());
  }
}

/// Second pass. Does not report again what the first pass reported about files and records.
void folder_verifier::find_differences() {
  const std::unique_ptr<record_checker> checker = claims_.make_checker();
  for_each_file([&](std::uint32_t f) { explain_file(f, *checker); });
  if (!is_whole()) return;
  findings found;
  checker->conclude(found);
  run_.fail(folder_.path, "", found);
}

void folder_verifier::explain_file(std::uint32_t number, record_checker& checker) {
  const fs::path path = folder_.path / ready().files[number].name;
  if (!support::exists(path)) return;
  file_scan scan{.first_batch = layout().first_batch(number), .wanted = layout().batches_in(number)};
  try {
    record_reader reader(path, ready().compression, max_record_payload_bytes(ready()));
    while (!scan.ended) {
      auto records = read_some(reader, scan);
      run_.control.throw_if_stopped();
      run_.pool.for_each(records.size(), [&](std::uint64_t i) {
        try {
          checker.check(records[i].batch, columns_of(records[i].payload), records[i].found);
        } catch (const format_error&) {
          return;  // reported by the first pass
        }
      });
      for (const auto& record : records) run_.fail(path, fmt::format("record {}, ", record.number), record.found);
    }
  } catch (const format_error&) {
    return;  // reported by the first pass
  }
}

}  // namespace

void verify_folder(const verification& run, const record_folder& folder) { folder_verifier(run, folder).run(); }

}  // namespace negpipe::pipeline

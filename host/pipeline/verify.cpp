#include "negpipe/pipeline.hpp"

#include <optional>
#include <set>

#include "batch_columns.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "format.hpp"
#include "negpipe/error.hpp"
#include "negpipe/positives.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"
#include "thread_pool.hpp"
#include "verify_records.hpp"

namespace negpipe {

namespace fs = std::filesystem;
using namespace pipeline;

namespace {

constexpr std::size_t max_reported_failures = 20;

/// What all folders of a run share.
struct verification {
  const dataset& data;
  const core::positives_view& positives;
  support::thread_pool& pool;
  const run_control& control;
  verify_report& report;

  void fail(const fs::path& file, std::string message) const {
    ++report.failure_count;
    if (report.failures.size() < max_reported_failures) report.failures.push_back({file.string(), std::move(message)});
  }
  void fail(const fs::path& file, const std::string& where, const findings& found) const {
    for (const auto& message : found.messages()) fail(file, where + message);
    report.failure_count += found.count() - found.messages().size();
  }
};

/// Compares an index file, line by line, with the records that are read: memory does not grow with their number.
class index_check {
 public:
  /// Throws io_error.
  explicit index_check(const fs::path& path) : file_(path) {}

  void expect(std::uint64_t offset, std::uint64_t frame_bytes) {
    const std::string line = fmt::format("{} {}\n", offset, frame_bytes);
    is_right_ = is_right_ && text().substr(compared_).starts_with(line);
    compared_ += line.size();
  }
  /// Whether the file held a line for each record, and no more.
  bool is_right() const { return is_right_ && compared_ == text().size(); }

 private:
  std::string_view text() const {
    return {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
  }

  support::mapped_file file_;
  std::size_t compared_ = 0;
  bool is_right_ = true;
};

/// Checks one folder: ready.json against the dataset, files against ready.json, records against all promises.
class folder_verifier {
 public:
  folder_verifier(const verification& run, const record_folder& folder)
      : run_(run), folder_(folder), ready_path_(folder.path / record::ready_file_name) {}

  void run() {
    if (!read_ready()) return;
    check_for_other_files();
    for (std::uint32_t f = 0; f < layout_.file_count; ++f) read_file(f);
    // With records missing every count would be off: the loss is reported already.
    if (!complete_) return;
    findings found;
    checker_->conclude(found);
    run_.fail(folder_.path, "", found);
  }

 private:
  /// A record on its way to a thread, and what was found.
  struct pending_record {
    std::uint64_t number;  ///< within its file
    std::uint64_t batch;
    std::vector<std::byte> payload;
    findings found;
    bool was_checked;      ///< false when its columns could not be read
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

  bool read_ready();
  void refuse_other_origin() const;
  void make_checker();
  void expect(std::string_view field, std::uint64_t found, std::uint64_t wanted) const;
  void check_for_other_files() const;
  bool check_file(const fs::path& path, const record::record_file& listed, std::uint64_t records) const;
  std::optional<index_check> open_index(const fs::path& path) const;
  void read_file(std::uint32_t number);
  void read_records(const fs::path& path, file_scan& scan);
  std::vector<pending_record> read_some(record_reader& reader, file_scan& scan) const;
  void check_records(const fs::path& path, std::vector<pending_record>& records);
  void check_record(pending_record& record) const;

  const verification& run_;
  const record_folder& folder_;
  fs::path ready_path_;
  record::ready_file ready_;
  file_layout layout_{};
  std::vector<record::column_spec> columns_;
  std::unique_ptr<record_checker> checker_;
  std::uint64_t points_done_ = 0;
  bool complete_ = true;
};

bool folder_verifier::read_ready() {
  if (!support::exists(ready_path_)) {
    run_.fail(ready_path_, "is missing: the folder was not finished; generate it again");
    return false;
  }
  try {
    ready_ = record::read_ready_file(folder_.path);
  } catch (const format_error& e) {
    run_.fail(ready_path_, e.what());
    return false;
  }
  refuse_other_origin();
  try {
    make_checker();
  } catch (const error& e) {
    run_.fail(ready_path_, e.what());
  }
  return checker_ != nullptr;
}

/// Throws when the records were made of other data or by other rules: then nothing could be said about them.
void folder_verifier::refuse_other_origin() const {
  if (ready_.dataset_digest != run_.data.digest()) {
    throw format_error(ready_path_.string() + ": made from the dataset " + ready_.dataset_digest + ", but " +
                       run_.data.digest() + " was given; verify with the dataset that it was generated from");
  }
  if (ready_.stream_version != stream_version) {
    throw format_error(ready_path_.string() + ": made by stream version " + std::to_string(ready_.stream_version) +
                       ", this program has " + std::to_string(stream_version) + "; verify with negpipe " +
                       ready_.library_version);
  }
}

void folder_verifier::expect(std::string_view field, std::uint64_t found, std::uint64_t wanted) const {
  if (found == wanted) return;
  run_.fail(ready_path_, fmt::format("\"{}\" is {}, {} wanted", field, found, wanted));
}

void folder_verifier::make_checker() {
  const item_type items = item_type_for(run_.data.item_count());
  const bool is_evaluation = ready_.kind == record::record_kind::eval;
  if (is_evaluation != folder_.is_evaluation) {
    run_.fail(ready_path_, "\"kind\" does not belong into this folder");
    return;
  }
  if (ready_.items != items) {
    run_.fail(ready_path_, "the dtype of item_id does not fit the number of items");
    return;
  }
  columns_ = columns_of(ready_);
  expect("user_count", ready_.user_count, static_cast<std::uint64_t>(run_.data.user_count()));
  expect("item_count", ready_.item_count, static_cast<std::uint64_t>(run_.data.item_count()));
  expect("positive_count", ready_.positive_count, run_.data.positive_count());
  std::uint64_t batches = 0;
  if (is_evaluation) {
    const evaluation_plan plan =
        plan_evaluation(run_.data, {ready_.negatives, ready_.batch_size, ready_.mlperf}, ready_.seed);
    expect("point_count", ready_.point_count, plan.element_count());
    checker_ = make_evaluation_checker(plan, run_.positives);
    batches = plan.batch_count;
  } else {
    expect("cycle", ready_.cycle, folder_.cycle);
    const training_plan plan = plan_training(
        run_.data, {ready_.seed, ready_.negatives, ready_.epochs_per_cycle, ready_.batch_size, ready_.padding});
    expect("point_count", ready_.point_count, plan.point_count);
    checker_ = make_training_checker(plan, ready_.cycle, run_.positives);
    batches = plan.batch_count;
  }
  expect("batch_count", ready_.batch_count, batches);
  // The sizes of files are bounded by it.
  if (ready_.batch_count != batches) checker_.reset();
  layout_ = {batches, static_cast<std::uint32_t>(ready_.files.size())};
}

/// No other file would be caught by a reader's pattern.
void folder_verifier::check_for_other_files() const {
  std::set<std::string> names;
  for (const auto& file : ready_.files) names.insert(file.name);
  for (const auto& path : find_record_files(folder_)) {
    if (!names.contains(path.filename().string())) run_.fail(path, "stands here, but ready.json does not list it");
  }
}

/// The file against its line in ready.json; false if it is not there.
bool folder_verifier::check_file(const fs::path& path, const record::record_file& listed,
                                 std::uint64_t records) const {
  expect(listed.name + ": record_count", listed.record_count, records);
  if (!support::exists(path)) {
    run_.fail(path, "is missing");
    return false;
  }
  const support::mapped_file file(path);
  if (file.bytes().size() != listed.byte_count) {
    run_.fail(path, fmt::format("has {} bytes, {} wanted by ready.json", file.bytes().size(), listed.byte_count));
  } else if (const auto found = support::crc32c(file.bytes()); found != listed.crc32c) {
    run_.fail(path, fmt::format("its CRC-32C is {:08x}, {:08x} wanted by ready.json", found, listed.crc32c));
  }
  return true;
}

std::optional<index_check> folder_verifier::open_index(const fs::path& path) const {
  if (ready_.compression != compression_type::none) return {};
  const fs::path index = path.string() + std::string(record::index_suffix);
  if (support::exists(index)) return index_check(index);
  run_.fail(index, "is missing");
  return {};
}

/// Reads the next records, as many as keep all threads busy, and at most one more than are wanted.
std::vector<folder_verifier::pending_record> folder_verifier::read_some(record_reader& reader, file_scan& scan) const {
  constexpr std::uint64_t max_bytes = std::uint64_t{64} << 20;
  // Batch 0 goes alone: the checks of padding need it before all others.
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
  const fs::path path = folder_.path / ready_.files[number].name;
  file_scan scan{.first_batch = layout_.first_batch(number), .wanted = layout_.batches_in(number)};
  if (!check_file(path, ready_.files[number], scan.wanted)) {
    complete_ = false;
    return;
  }
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
    record_reader reader(path, ready_.compression, max_record_payload_bytes(ready_));
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
  run_.pool.for_each(records.size(), [&](std::uint64_t i) { check_record(records[i]); });
  for (const auto& record : records) {
    complete_ = complete_ && record.was_checked;
    run_.fail(path, fmt::format("record {}, ", record.number), record.found);
  }
  const std::uint64_t points = records.size() * ready_.batch_size;
  points_done_ += points;
  run_.report.record_count += records.size();
  run_.report.point_count += points;
  run_.control.report({folder_.name, "points", points_done_, layout_.batch_count * ready_.batch_size});
}

void folder_verifier::check_record(pending_record& record) const {
  std::vector<std::span<const std::byte>> values;
  try {
    values = record::batch_columns(record.payload, columns_);
  } catch (const format_error& e) {
    record.found.add("{}", e.what());
    return;
  }
  record.was_checked = true;
  const record_columns columns{values[0], values[1], values[2], values.size() > 3 ? values[3] : values[0].first(0),
                               item_type_for(run_.data.item_count())};
  checker_->check(record.batch, columns, record.found);
}

}  // namespace

verify_report verify(const dataset& data, const fs::path& folder, const run_control& control) {
  verify_report report;
  const std::vector<record_folder> folders = find_record_folders(folder);
  // Sorted search needs no memory, and is the reference the other forms are held to.
  const positives_index index(data, 0, control);
  const core::positives_view positives = index.view();
  support::thread_pool pool(control.thread_count());
  const verification run{data, positives, pool, control, report};
  for (const record_folder& records : folders) {
    folder_verifier(run, records).run();
    if (records.is_evaluation) {
      report.has_evaluation = true;
    } else {
      ++report.cycle_count;
    }
  }
  return report;
}

}  // namespace negpipe

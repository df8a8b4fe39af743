#include "negpipe/pipeline.hpp"

#include <optional>
#include <set>

#include "batch_columns.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "folder_writer.hpp"
#include "format.hpp"
#include "index_check.hpp"
#include "negpipe/error.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/sampler.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"
#include "thread_pool.hpp"
#include "verify_columns.hpp"
#include "verify_records.hpp"

namespace negpipe {

namespace fs = std::filesystem;
using namespace pipeline;

namespace {

constexpr std::size_t max_reported_failures = 20;

/// State that all folders of a run share.
struct verification {
  const dataset& data;
  const positives_index& index;
  std::shared_ptr<const backend> filler;  ///< runs in the calling thread
  const std::string& device;
  item_weights weights;                   ///< given by the caller
  support::thread_pool& pool;
  const run_control& control;
  verify_report& report;
  std::optional<run_part> part;

  void fail(const fs::path& file, std::string message) const {
    ++report.failure_count;
    if (report.failures.size() < max_reported_failures) report.failures.push_back({file.string(), std::move(message)});
  }
  void fail(const fs::path& file, const std::string& where, const findings& found) const {
    for (const auto& message : found.messages()) fail(file, where + message);
    report.failure_count += found.count() - found.messages().size();
  }
};

record_columns columns_from(const std::vector<std::span<const std::byte>>& values, const record::ready_file& ready) {
  const std::span<const std::byte> none = values[0].first(0);
  const bool pairwise = ready.layout == batch_layout::pairwise;
  return {values[0],
          values[1],
          pairwise ? none : values[2],
          pairwise ? values[2] : none,
          values.size() > 3 ? values[3] : none,
          ready.items};
}

/// Checks one folder: ready.json against the dataset, files against ready.json, records against all promises.
///
/// The first pass compares whole batches. Only if a batch or a sum differs, a second pass reads the records again and
/// compares value by value, to report what is wrong.
class folder_verifier {
 public:
  folder_verifier(const verification& run, const record_folder& folder)
      : run_(run), folder_(folder), ready_path_(folder.path / record::ready_file_name) {}

  void run() {
    if (!read_ready()) return;
    check_for_other_files();
    for_each_file([&](std::uint32_t f) { read_file(f); });
    // With missing records, which are reported already, all sums differ.
    if (differs_ || (is_whole() && !columns_check_->concludes())) find_differences();
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
    const run_part part = run_.part.value_or(run_part{});
    for (std::uint32_t f = part.index; f < layout_.file_count; f += part.count) body(f);
  }
  /// Returns whether all records of the folder were checked.
  bool is_whole() const { return complete_ && !run_.part; }
  bool read_ready();
  void refuse_other_origin() const;
  void make_checks();
  item_weights find_weights() const;
  sampler make_sampler();
  const positives_index& index() const { return evaluation_index_ ? *evaluation_index_ : run_.index; }
  void expect(std::string_view field, std::uint64_t found, std::uint64_t wanted) const;
  void check_for_other_files() const;
  bool check_file(const fs::path& path, const record::record_file& listed, std::uint64_t records) const;
  std::optional<index_check> open_index(const fs::path& path) const;
  void read_file(std::uint32_t number);
  void read_records(const fs::path& path, file_scan& scan);
  std::vector<pending_record> read_some(record_reader& reader, file_scan& scan) const;
  void check_records(const fs::path& path, std::vector<pending_record>& records);
  void check_record(pending_record& record) const;
  std::unique_ptr<record_checker> make_checker(const core::positives_view& positives) const;
  void find_differences();
  void explain_file(std::uint32_t number, record_checker& checker);

  const verification& run_;
  const record_folder& folder_;
  fs::path ready_path_;
  record::ready_file ready_;
  item_weights weights_;
  file_layout layout_{};
  std::vector<record::column_spec> columns_;
  std::optional<sampler> source_;
  std::optional<positives_index> evaluation_index_;  // if evaluation needs rows of its own
  std::unique_ptr<column_check> columns_check_;
  std::uint64_t points_done_ = 0;
  std::uint64_t points_total_ = 0;
  bool complete_ = true;
  bool differs_ = false;
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
  weights_ = find_weights();
  try {
    make_checks();
  } catch (const error& e) {
    run_.fail(ready_path_, e.what());
  }
  return columns_check_ != nullptr;
}

/// Throws if the records were made from other data or by another stream version: then they cannot be checked.
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

/// Returns the weights that the records were drawn with. Throws option_error if they are not known.
item_weights folder_verifier::find_weights() const {
  if (ready_.distribution == "uniform") return {};
  const bool by_popularity = ready_.distribution == "popularity";
  const item_weights found = by_popularity ? popularity_weights(run_.data, ready_.alpha) : run_.weights;
  if (found.digest() == ready_.weights_digest) return found;
  const std::string start = ready_path_.string() + ": drawn with weights of the digest " + ready_.weights_digest;
  if (by_popularity) throw format_error(start + ", but those of its alpha have " + found.digest());
  throw option_error("weights", start + (found.is_uniform() ? "; give these weights" : ", but the given ones have " +
                                                                                         found.digest()));
}

/// Returns the sampler that made these records, according to ready.json.
sampler folder_verifier::make_sampler() {
  sampler_options options{.seed = ready_.seed, .threads = 1};
  if (folder_.is_evaluation) {
    options.evaluation = evaluation_options{ready_.negatives, ready_.batch_size, ready_.mlperf, ready_.infeasible};
    options.evaluation->set = ready_.evaluated;
    if (needs_evaluation_rows(run_.data, *options.evaluation)) {
      (void)plan_evaluation(run_.data, *options.evaluation, options.seed);
      evaluation_index_.emplace(evaluation_rows(run_.data, *options.evaluation), 0, run_.control);
      options.evaluation->set = heldout_set::test;
    }
  } else {
    options.negatives = ready_.negatives;
    options.epochs_per_cycle = ready_.epochs_per_cycle;
    options.batch_size = ready_.batch_size;
    options.padding = ready_.padding;
    options.layout = ready_.layout;
    options.weights = weights_;
  }
  std::shared_ptr<const backend> filler = run_.filler;
  if (evaluation_index_) filler = make_backend(run_.device, *evaluation_index_, 1);
  if (!options.weights.is_uniform()) filler = make_cpu_backend(run_.index, 1);  // only the CPU draws by weight
  const sampler source(index(), filler, options);
  // With fewer batches than threads, all threads fill each batch together.
  const unsigned threads = run_.pool.thread_count();
  return source.with_threads(ready_.batch_count >= threads ? 1 : threads);
}

void folder_verifier::make_checks() {
  const item_type items = item_type_for(run_.data.item_count());
  const bool is_evaluation = ready_.kind == record::record_kind::eval;
  if (is_evaluation != folder_.is_evaluation) {
    run_.fail(ready_path_, "\"kind\" does not match this folder");
    return;
  }
  if (ready_.items != items) {
    run_.fail(ready_path_, "the dtype of item_id does not match the number of items");
    return;
  }
  columns_ = columns_of(ready_);
  expect("user_count", ready_.user_count, static_cast<std::uint64_t>(run_.data.user_count()));
  expect("item_count", ready_.item_count, static_cast<std::uint64_t>(run_.data.item_count()));
  expect("positive_count", ready_.positive_count, run_.data.positive_count());
  source_ = make_sampler();
  std::uint64_t batches = 0;
  if (is_evaluation) {
    const evaluation_plan& plan = source_->evaluation_plan();
    expect("point_count", ready_.point_count, plan.element_count());
    columns_check_ = make_evaluation_column_check(*source_, index().view());
    batches = plan.batch_count;
  } else {
    expect("cycle", ready_.cycle, folder_.cycle);
    const training_plan& plan = source_->plan();
    expect("point_count", ready_.point_count, plan.point_count);
    const auto make_check =
        plan.layout == batch_layout::pairwise ? make_pair_column_check : make_training_column_check;
    columns_check_ = make_check(*source_, ready_.cycle, run_.index.view());
    batches = plan.batch_count;
  }
  expect("batch_count", ready_.batch_count, batches);
  // File sizes are bounded by batch_count.
  if (ready_.batch_count != batches) columns_check_.reset();
  layout_ = {batches, static_cast<std::uint32_t>(ready_.files.size())};
  for_each_file([&](std::uint32_t f) { points_total_ += layout_.batches_in(f) * ready_.batch_size; });
}

/// Reports unlisted record files, which a reader's pattern would match.
void folder_verifier::check_for_other_files() const {
  std::set<std::string> names;
  for (const auto& file : ready_.files) names.insert(file.name);
  for (const auto& path : find_record_files(folder_)) {
    if (!names.contains(path.filename().string())) run_.fail(path, "is not listed in ready.json");
  }
}

/// Compares a file with its entry in ready.json. Returns false if it is missing.
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
    differs_ = differs_ || !record.agrees;
    run_.fail(path, fmt::format("record {}, ", record.number), record.found);
  }
  const std::uint64_t points = records.size() * ready_.batch_size;
  points_done_ += points;
  run_.report.record_count += records.size();
  run_.report.point_count += points;
  run_.control.report({folder_.name, "points", points_done_, points_total_});
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
  record.agrees = columns_check_->agrees(record.batch, columns_from(values, ready_));
}

std::unique_ptr<record_checker> folder_verifier::make_checker(const core::positives_view& positives) const {
  if (folder_.is_evaluation) return make_evaluation_checker(source_->evaluation_plan(), positives);
  const auto make = ready_.layout == batch_layout::pairwise ? make_pair_checker : make_training_checker;
  return make(source_->plan(), ready_.cycle, positives);
}

/// Second pass. Does not report again what the first pass reported about files and records.
void folder_verifier::find_differences() {
  core::positives_view positives = index().view();
  positives.form = core::membership::sorted_search;  // the reference for the other forms
  const std::unique_ptr<record_checker> checker = make_checker(positives);
  for_each_file([&](std::uint32_t f) { explain_file(f, *checker); });
  if (!is_whole()) return;
  findings found;
  checker->conclude(found);
  run_.fail(folder_.path, "", found);
}

void folder_verifier::explain_file(std::uint32_t number, record_checker& checker) {
  const fs::path path = folder_.path / ready_.files[number].name;
  if (!support::exists(path)) return;
  file_scan scan{.first_batch = layout_.first_batch(number), .wanted = layout_.batches_in(number)};
  try {
    record_reader reader(path, ready_.compression, max_record_payload_bytes(ready_));
    while (!scan.ended) {
      auto records = read_some(reader, scan);
      run_.control.throw_if_stopped();
      run_.pool.for_each(records.size(), [&](std::uint64_t i) {
        try {
          const auto values = record::batch_columns(records[i].payload, columns_);
          checker.check(records[i].batch, columns_from(values, ready_), records[i].found);
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

verify_report verify(const dataset& data, const fs::path& folder, const run_control& control,
                     const verify_options& options) {
  check_part(options.part);
  verify_report report;
  const std::vector<record_folder> folders = find_record_folders(folder);
  const positives_index index(data, options.bitset_budget, control);
  support::thread_pool pool(control.thread_count());
  const verification run{data, index,   make_backend(options.device, index, 1), options.device, options.weights,
                         pool, control, report, options.part};
  for (const record_folder& records : folders) {
    folder_verifier(run, records).run();
    if (records.is_evaluation) {
      report.has_evaluation = true;
    } else {
      ++report.cycle_count;
    }
  }
  data.check_unchanged();
  return report;
}

}  // namespace negpipe

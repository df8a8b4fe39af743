// Frozen hashes of the files that generate writes, one table per stream_version. README.md says when and how to make a
// new one. Compressed files are excluded: their bytes depend on zlib.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "digest.hpp"
#include "files.hpp"
#include "golden_table.hpp"
#include "negpipe/pipeline.hpp"
#include "support/datasets.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::test {
namespace {

namespace fs = std::filesystem;

/// Users with no to many training positives, made by arithmetic alone: standard library shuffles differ between
/// platforms.
dataset fixed_dataset(std::int32_t items) {
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int32_t> heldout;
  for (const std::int32_t degree : {5, 0, 31, 1, 60, 12, 47, 20}) {
    const auto user = static_cast<std::int32_t>(rows.size());
    std::vector<std::int32_t> row;
    for (std::int32_t k = 0; k < degree; ++k) row.push_back((17 * user + 29 * k) % items);
    rows.push_back(row);
    heldout.push_back((17 * user + 29 * degree) % items);
  }
  return make_dataset(std::move(rows), std::move(heldout), items);
}

/// Returns the MD5 of every record file and index below a folder, by relative path.
void add_files(golden_table& all, const std::string& name, const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path extension = entry.path().extension();
    if (extension != ".tfrecords" && extension != ".idx") continue;
    const support::mapped_file file(entry.path());
    support::md5 digest;
    digest.update(file.bytes());
    all[name + " " + entry.path().lexically_relative(folder).string()] = digest.hex();
  }
}

/// part: a folder of the run, to leave the others out.
void add_run(golden_table& all, const std::string& name, const dataset& data, const sampler_options& sampling,
             const std::string& part = "") {
  const temporary_folder scratch;
  const generate_options options{.out = scratch / "out", .cycle_count = 2, .readers = 3};
  generate(sampler(data, sampling), options, {.threads = 2});
  add_files(all, name, options.out / part);
}

TEST(golden, generated_files_equal_the_frozen_hashes) {
  golden_table all;
  for (const std::int32_t items : {97, 70'000}) {
    const dataset data = fixed_dataset(items);
    sampler_options options{.seed = 42, .negatives = 4, .epochs_per_cycle = 2, .batch_size = 150, .device = "cpu"};
    options.evaluation = evaluation_options{.negatives = 20, .batch_size = 63};
    const std::string width = items > 65'536 ? "int32" : "uint16";
    options.padding = padding_policy::resample;
    add_run(all, width + " resample", data, options);
    options.evaluation->mlperf = true;
    options.padding = padding_policy::mask;
    add_run(all, width + " mask", data, options);
    options.evaluation.reset();
    options.padding = padding_policy::drop;
    add_run(all, width + " drop", data, options);
  }
  for (const std::int32_t items : {97, 70'000}) {
    const sampler_options options{.seed = 42,
                                  .negatives = 4,
                                  .epochs_per_cycle = 2,
                                  .batch_size = 50,
                                  .padding = items == 97 ? padding_policy::mask : padding_policy::resample,
                                  .layout = batch_layout::pairwise,
                                  .device = "cpu"};
    add_run(all, items == 97 ? "uint16 pairwise mask" : "int32 pairwise resample", fixed_dataset(items), options);
  }
  for (const bool mlperf : {false, true}) {
    const dataset data = fixed_dataset(97);
    sampler_options options{.seed = 42, .batch_size = 150, .device = "cpu"};
    options.evaluation = evaluation_options{.negatives = 20, .batch_size = 63, .mlperf = mlperf};
    options.evaluation->weights = popularity_weights(data, mlperf ? 1 : 0.75);
    add_run(all, mlperf ? "weighted evaluation, mlperf" : "weighted evaluation", data, options, "eval_data");
  }
  expect_golden("records", all);
}

}  // namespace
}  // namespace negpipe::test

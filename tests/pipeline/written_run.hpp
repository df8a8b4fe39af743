// A small run on disk for tests to tamper with: reads batches as columns, and rewrites a folder from them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "example_encoder.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/pipeline.hpp"
#include "ready_file.hpp"
#include "record_set.hpp"
#include "support/datasets.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::test {

/// One batch. flags are labels or the duplicate mask and empty if pairwise; negatives are empty unless pairwise; valid
/// is empty without valid_point_mask.
struct batch_columns {
  std::vector<std::int32_t> users;
  std::vector<std::uint16_t> items;
  std::vector<std::int8_t> flags;
  std::vector<std::int8_t> valid;
  std::vector<std::uint16_t> negatives = {};
};

template <typename Value>
std::vector<Value> values_of(std::span<const std::byte> bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Value));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

/// Returns the batches of a folder in reading order.
inline std::vector<batch_columns> read_batches(const std::filesystem::path& folder) {
  const record::ready_file ready = record::read_ready_file(folder);
  std::vector<batch_columns> batches;
  for (const auto& file : ready.files) {
    record_reader reader(folder / file.name);
    for (std::span<const std::byte> payload; reader.next(payload);) {
      batch_columns batch;
      for (const auto& [name, bytes] : parse_example(payload)) {
        if (name == record::user_key) batch.users = values_of<std::int32_t>(bytes);
        if (name == record::item_key) batch.items = values_of<std::uint16_t>(bytes);
        if (name == record::label_key || name == record::duplicate_key) batch.flags = values_of<std::int8_t>(bytes);
        if (name == record::negative_key) batch.negatives = values_of<std::uint16_t>(bytes);
        if (name == record::valid_key) batch.valid = values_of<std::int8_t>(bytes);
      }
      batches.push_back(std::move(batch));
    }
  }
  return batches;
}

/// Replaces the records of a folder by the batches, with correct checksums, index files and ready.json: only the values
/// show what is wrong.
inline void write_batches(const std::filesystem::path& folder, const std::vector<batch_columns>& batches) {
  record::ready_file ready = record::read_ready_file(folder);
  const bool evaluation = ready.kind == record::record_kind::eval;
  const bool pairwise = ready.layout == batch_layout::pairwise;
  const record::record_template shape(record::columns_of(ready));
  const file_layout layout{batches.size(), static_cast<std::uint32_t>(ready.files.size())};
  record::record_set set(folder, evaluation ? "eval" : "train", layout, shape.record_bytes(), ready.compression);
  std::vector<std::byte> out(shape.record_bytes());
  for (std::size_t b = 0; b < batches.size(); ++b) {
    std::vector<std::span<const std::byte>> columns{std::as_bytes(std::span(batches[b].users)),
                                                    std::as_bytes(std::span(batches[b].items)),
                                                    pairwise ? std::as_bytes(std::span(batches[b].negatives))
                                                             : std::as_bytes(std::span(batches[b].flags))};
    if (!batches[b].valid.empty()) columns.push_back(std::as_bytes(std::span(batches[b].valid)));
    shape.encode(columns, out);
    set.write(b, out);
  }
  ready.files = set.finish();
  record::write_ready_file(folder, ready);
}

/// Options of a run and of its sampler.
struct run_options : generate_options {
  sampler_options sampling;
};

/// Returns options of a small run: a cycle with a partial last batch, and fewer files than batches.
inline run_options small_options(const std::filesystem::path& out) {
  run_options options;
  options.out = out;
  options.cycle_count = 1;
  options.readers = 3;
  options.sampling = {.seed = 42, .negatives = 3, .epochs_per_cycle = 2, .batch_size = 100, .device = "cpu"};
  options.sampling.evaluation = evaluation_options{.negatives = 10, .batch_size = 33};
  return options;
}

/// Returns a dataset of users with different numbers of positives, all with enough evaluation negatives.
inline dataset small_dataset() { return random_dataset({3, 20, 1, 0, 35, 12, 7}, 60, 11); }

inline void generate_small(const dataset& data, const run_options& options) {
  generate(sampler(data, options.sampling), options, {.threads = 1});
}

/// Returns all reported failures as one text.
inline std::string failures_of(const verify_report& report) {
  std::string text;
  for (const auto& failure : report.failures) text += failure.file + ": " + failure.message + "\n";
  return text;
}

/// Generates a small run, changes the batches of a folder of it, and expects that verify reports all of the texts.
inline void expect_tampering_is_reported(run_options options, const std::filesystem::path& folder,
                                         const std::function<void(const dataset&, std::vector<batch_columns>&)>& tamper,
                                         const std::vector<const char*>& reported) {
  const dataset data = small_dataset();
  options.readers = 1;
  generate_small(data, options);
  const std::filesystem::path target = options.out / folder;
  std::vector<batch_columns> all = read_batches(target);
  write_batches(target, all);
  ASSERT_EQ(verify(data, options.out).failure_count, 0U) << "what was read was not written back";
  tamper(data, all);
  write_batches(target, all);
  const verify_report report = verify(data, options.out);
  EXPECT_GT(report.failure_count, 0U);
  const std::string text = failures_of(report);
  for (const char* part : reported) EXPECT_NE(text.find(part), std::string::npos) << part << " not in\n" << text;
}

}  // namespace negpipe::test

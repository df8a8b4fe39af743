// ready.json describes a folder of records. It is written last: a folder without it is incomplete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "example_encoder.hpp"
#include "format.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/tfrecord.hpp"
#include "negpipe/version.hpp"
#include "record_set.hpp"

namespace negpipe::record {

enum class record_kind : std::uint8_t { train, eval };

/// Content of ready.json. FORMAT.md has the field names and an example.
struct ready_file {
  std::uint64_t batch_size = 0;
  std::uint64_t batch_count = 0;
  std::uint32_t format_version = record::format_version;
  std::uint32_t stream_version = negpipe::stream_version;
  std::string library_version = negpipe::library_version;
  record_kind kind = record_kind::train;
  std::uint64_t seed = 0;
  std::uint64_t point_count = 0;             ///< without padding; train: N, eval: users * (E + 1)
  item_type items = item_type::uint16;
  compression_type compression = compression_type::none;
  std::string dataset_digest;
  std::uint64_t user_count = 0;
  std::uint64_t item_count = 0;
  std::uint64_t positive_count = 0;
  std::uint32_t negatives = 0;               ///< per positive (train) or per user (eval)
  std::string distribution = "uniform";      ///< of negatives; or "popularity", or "weights"
  double alpha = 0;                          ///< popularity only
  std::string weights_digest;                ///< of item_weights; empty if uniform

  std::uint32_t cycle = 0;                   ///< train only
  std::uint32_t epochs_per_cycle = 1;        ///< train only
  padding_policy padding = padding_policy::resample;  ///< train only
  batch_layout layout = batch_layout::pointwise;      ///< train only; files without the field are pointwise
  bool mlperf = false;                       ///< eval only: negatives with replacement
  heldout_set evaluated = heldout_set::test;  ///< eval only
  infeasible_policy infeasible = infeasible_policy::skip;  ///< eval only: skip or fewer
  std::vector<std::int32_t> skipped_users;   ///< eval only: users whose rows are zeros, ascending

  std::vector<record_file> files;            ///< one per reader, in the order of their numbers
};

/// Returns the features of a record of this folder, in the order of training_columns, pair_columns or
/// evaluation_columns.
std::vector<column_spec> columns_of(const ready_file& content);
/// Returns the largest payload that readers accept: twice the size of the arrays, and 1 KiB for names and lengths.
std::uint64_t max_record_payload_bytes(const ready_file& content);

/// Returns the text of ready.json.
std::string ready_text(const ready_file& content);

/// Writes ready.json under a temporary name, syncs and renames it. Throws io_error.
void write_ready_file(const std::filesystem::path& folder, const ready_file& content);

/// Parses the text of a ready.json like read_ready_file. where: its path, for messages. Throws format_error.
ready_file parse_ready_text(std::string_view text, const std::string& where);

/// Reads ready.json and checks types, ranges, and the names, record counts and sizes of files against batch_size,
/// batch_count and readers. Does not read the files themselves.
/// Throws io_error if ready.json is missing, format_error (path, field, found and expected value).
ready_file read_ready_file(const std::filesystem::path& folder);

}  // namespace negpipe::record

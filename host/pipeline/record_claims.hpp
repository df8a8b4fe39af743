// What the ready.json of a folder claims about its records.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "folder_writer.hpp"
#include "format.hpp"
#include "ready_file.hpp"
#include "record_folders.hpp"
#include "verification.hpp"
#include "verify_columns.hpp"
#include "verify_records.hpp"

namespace negpipe::pipeline {

/// Compares ready.json with the dataset, and makes the sampler and the checks for the records that it describes. Both
/// arguments must outlive it.
class record_claims {
 public:
  record_claims(const verification& run, const record_folder& folder)
      : run_(run), folder_(folder), ready_path_(folder.path / record::ready_file_name) {}
  record_claims(const record_claims&) = delete;
  record_claims& operator=(const record_claims&) = delete;

  /// Reads ready.json and reports what is wrong in it. Returns whether the records can be checked. Throws format_error
  /// if they were made from other data, by another stream version or with other weights.
  bool read();

  const record::ready_file& ready() const { return ready_; }
  const file_layout& layout() const { return layout_; }
  const std::vector<record::column_spec>& columns() const { return columns_; }
  /// Compares whole batches with the sampler.
  column_check& batch_check() const { return *columns_check_; }
  /// Makes a check that compares value by value, to explain what is wrong.
  std::unique_ptr<record_checker> make_checker() const;
  /// Reports a number of ready.json that is not the wanted one.
  void expect(std::string_view field, std::uint64_t found, std::uint64_t wanted) const;

 private:
  bool read_ready();
  void refuse_other_origin() const;
  item_weights find_weights() const;
  sampler make_sampler();
  void make_checks();
  const positives_index& index() const { return evaluation_index_ ? *evaluation_index_ : run_.index; }

  const verification& run_;
  const record_folder& folder_;
  std::filesystem::path ready_path_;
  record::ready_file ready_;
  item_weights weights_;
  file_layout layout_{};
  std::vector<record::column_spec> columns_;
  std::optional<sampler> source_;
  std::optional<positives_index> evaluation_index_;  // if evaluation needs rows of its own
  std::unique_ptr<column_check> columns_check_;
};

}  // namespace negpipe::pipeline

// Evaluation rows that were drawn before, such as those of a file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "batch_maker.hpp"
#include "negpipe/dataset.hpp"

namespace negpipe::python {

/// Rows of one held-out item and its negatives. Immutable and thread-safe.
class candidates {
 public:
  /// users: [n]; items: [n * row_length], the held-out item of each row first. row_length is 2 or more.
  /// Throws format_error, naming the row, unless each row begins with an item of its user's held-out set, another one
  /// than any other row, has none of the user's training positives, and all are users and items of the dataset.
  candidates(dataset data, heldout_set set, std::span<const std::int32_t> users, std::span<const std::int32_t> items);

  std::size_t row_count() const { return users_.size(); }
  std::size_t row_length() const { return row_length_; }
  std::int32_t user(std::size_t row) const { return users_[row]; }
  std::span<const std::int32_t> items(std::size_t row) const { return of_row(items_, row); }
  /// 1 where an item stood earlier in its row.
  std::span<const std::int8_t> duplicate_mask(std::size_t row) const { return of_row(mask_, row); }
  const dataset& data() const { return data_; }

 private:
  template <typename T>
  std::span<const T> of_row(const std::vector<T>& values, std::size_t row) const {
    return std::span(values).subspan(row * row_length_, row_length_);
  }
  void check(std::size_t row) const;
  void refuse_repeated_rows() const;
  void mark_duplicates();

  dataset data_;
  heldout_set set_;
  std::vector<std::int32_t> users_;
  std::vector<std::int32_t> items_;
  std::vector<std::int8_t> mask_;
  std::size_t row_length_;
};

/// Batches of rows of them, as make_evaluation_maker makes batches: rank's batch b has the rows from
/// (b * world_size + rank) * rows on, and padding past the last. rows is at least 1.
std::shared_ptr<const batch_maker> make_candidate_maker(std::shared_ptr<const candidates> source,
                                                        const output_types& types, std::size_t rows,
                                                        std::uint64_t rank, std::uint64_t world_size);

}  // namespace negpipe::python

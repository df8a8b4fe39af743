// One rank's part of each batch, in the types that the caller wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "negpipe/sampler.hpp"

namespace negpipe::python {

enum class column_type : std::uint8_t { boolean, int8, uint16, int32, int64, float32 };

/// Throws option_error, naming the field, for a name that is none of allowed.
column_type column_type_of(const std::string& field, const std::string& name, std::span<const column_type> allowed);
std::size_t bytes_of(column_type type);
/// NumPy's name, such as "int32".
const char* name_of(column_type type);

struct column {
  std::string name;
  column_type type;
  std::vector<std::size_t> shape;

  std::size_t count() const;
  std::size_t bytes() const { return count() * bytes_of(type); }
};

struct output_types {
  column_type users = column_type::int32;    ///< int32 or int64
  column_type items = column_type::int32;    ///< uint16, int32 or int64
  column_type labels = column_type::float32; ///< int8, int64 or float32; pointwise training only
};

/// Throws option_error when items is uint16 and an item does not fit it.
void check_items_fit(std::int32_t item_count, column_type items);

/// Makes batches of one rank. Immutable; make() may be called from any number of threads at once.
class batch_maker {
 public:
  virtual ~batch_maker() = default;

  /// Batches in an epoch, the same for every rank.
  std::uint64_t batch_count() const { return batch_count_; }
  const std::vector<column>& columns() const { return columns_; }

  /// Writes one batch. targets[i] points to memory for columns()[i], aligned to its type. batch < batch_count().
  virtual void make(std::uint32_t epoch, std::uint64_t batch, std::span<void* const> targets) const = 0;

 protected:
  batch_maker(std::uint64_t batch_count, std::vector<column> columns)
      : batch_count_(batch_count), columns_(std::move(columns)) {}

 private:
  std::uint64_t batch_count_;
  std::vector<column> columns_;
};

/// Makes evaluation rows of a sampler. Thread-safe; copies share the sampler.
class row_maker {
 public:
  /// Throws option_error when items do not fit their type.
  row_maker(const sampler& source, const output_types& types);

  std::uint64_t row_count() const { return source_.evaluation_plan().user_count; }
  std::uint64_t row_length() const { return source_.evaluation_plan().row_length(); }
  /// Returns the columns of a batch.
  std::vector<column> columns_of(std::uint64_t rows) const;
  /// Writes rows [first, first + count), as far as the sampler has batches. targets: as in batch_maker::make.
  void make(std::uint64_t first, std::uint64_t count, std::span<void* const> targets) const;
  /// Writes rows past the last user.
  void make_padding(std::uint64_t count, std::span<void* const> targets) const;

 private:
  sampler source_;
  output_types types_;
};

/// Rank `rank` of `world_size` gets the points, or rows of the pairwise layout, [rank, rank + 1) * batch_size /
/// world_size of each batch. Throws option_error when batch_size is no multiple of world_size, or items do not fit
/// their type.
std::shared_ptr<const batch_maker> make_training_maker(const sampler& source, const output_types& types,
                                                       std::uint64_t rank, std::uint64_t world_size);

/// The same for evaluation rows: columns are [rows, negatives + 1]. Each user is in the part of one rank. source has
/// batches of one rank's size; rank's batch b is batch b * world_size + rank of them, zeros past the last.
std::shared_ptr<const batch_maker> make_evaluation_maker(const sampler& source, const output_types& types,
                                                         std::uint64_t rank, std::uint64_t world_size);

}  // namespace negpipe::python

// Tables of the Arrow C stream interface, and the columns of ratings in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_column.hpp"
#include "negpipe/arrow.hpp"

namespace negpipe::ingest {

/// Owner of a structure of the interface, unless its release is null.
template <typename Struct>
struct arrow_owner : Struct {
  arrow_owner() : Struct{} {}
  arrow_owner(arrow_owner&& other) noexcept : Struct(other) { other.release = nullptr; }
  ~arrow_owner() {
    if (this->release != nullptr) this->release(this);
  }
};

/// A table: some or all of its batches, and the numbers of its columns.
struct arrow_input {
  std::string name;
  arrow_owner<ArrowSchema> schema;
  std::vector<arrow_owner<ArrowArray>> batches;
  std::size_t user = 0;
  std::size_t item = 0;
  std::optional<std::size_t> time;
  std::optional<std::size_t> rating;
  ArrowArrayStream* stream = nullptr;

  const ArrowSchema& column(std::size_t i) const { return *schema.children[i]; }
  std::string_view name_of(std::size_t i) const { return column(i).name == nullptr ? "" : column(i).name; }
  arrow_type type(std::size_t i) const { return arrow_type::of(column(i)); }
  arrow_column values(const ArrowArray& batch, std::size_t i) const {
    return {*batch.children[i], type(i), batch.offset};
  }
  /// Returns the number of rows of the batches.
  std::uint64_t row_count() const;
  /// Returns a column's name and number, for the summary.
  std::string describe(std::size_t i) const;
  /// Throws input_error for a column of another type than wanted.
  [[noreturn]] void refuse_type(std::size_t column, std::string_view wanted) const;
};

/// Finds the columns of ratings in the schema of a stream. Throws input_error for tables and types that cannot be read;
/// io_error if the stream fails.
arrow_input open_arrow(const arrow_table& table, const prepare_options& options);

/// Replaces the batches by the next ones, until they have that many rows or the stream ends. Returns false if there is
/// none. Throws input_error for a batch that does not have the schema's shape; io_error.
bool read_batches(arrow_input& input, std::uint64_t rows);

}  // namespace negpipe::ingest

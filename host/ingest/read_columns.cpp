// Reads ratings from columns in memory, as an Arrow table over the same memory.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "arrow_rows.hpp"
#include "collector.hpp"
#include "negpipe/error.hpp"
#include "ratings.hpp"
#include "thread_pool.hpp"

namespace negpipe::ingest {

namespace {

/// Checks the caller's offsets of a text column, which may have any value.
void check_text(const rating_table& table, const char* column, const raw_ids& ids) {
  if (!ids.is_text()) return;
  const auto offsets = ids.numbers_or_offsets();
  if (offsets.front() < 0 || static_cast<std::uint64_t>(offsets.back()) > ids.bytes().size() ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    throw input_error(fmt::format("{}: the offsets of {} do not ascend within {} bytes of text", table.name, column,
                                  ids.bytes().size()));
  }
}

void check_table(const rating_table& table, const prepare_options& options) {
  const std::size_t rows = table.users.size();
  const auto check = [&](const char* column, std::size_t size) {
    if (size == rows) return;
    throw input_error(
        fmt::format("{}: {} values of {} for {} users; wanted one per row", table.name, size, column, rows));
  };
  check("items", table.items.size());
  if (options.table.order == row_order::time) {
    if (table.times.empty() && rows != 0) {
      throw input_error(
          fmt::format("{}: no times; give them, or set `order` to file if the rows of each user are in "
                      "the order of time",
                      table.name));
    }
    check("times", table.times.size());
  }
  if (options.min_rating) check("ratings, which `min_rating` needs,", table.ratings.size());
  if (!table.valid.empty()) check("valid", table.valid.size());
  check_text(table, "users", table.users);
  check_text(table, "items", table.items);
}

id_kind kind_of(const raw_ids& ids) { return ids.is_text() ? id_kind::text : id_kind::number; }

detected_table describe_columns(const rating_table& table, const prepare_options& options) {
  const auto kind = [](const raw_ids& ids) { return ids.is_text() ? "text" : "numbers"; };
  return {.format = fmt::format("{} rows in memory", table.users.size()),
          .user_column = "users",
          .item_column = "items",
          .time_column = options.table.order == row_order::file ? "" : "times",
          .rating_column = options.min_rating ? "ratings" : "",
          .user_ids = kind(table.users),
          .item_ids = kind(table.items),
          .times = options.table.order == row_order::file ? "order of the rows" : "numbers"};
}

void check_kinds(std::span<const rating_table> tables) {
  for (const rating_table& table : tables.subspan(1)) {
    const bool other_users = table.users.is_text() != tables[0].users.is_text();
    if (!other_users && table.items.is_text() == tables[0].items.is_text()) continue;
    throw input_error(fmt::format(
        "{}: the {} are of another type than those of {}; numbers or text in all tables wanted", table.name,
        other_users ? "users" : "items", tables[0].name));
  }
}

/// A rating_table as an Arrow table. Non-owning; not movable, as its parts refer to each other.
class table_as_arrow {
 public:
  explicit table_as_arrow(const rating_table& table, const prepare_options& options) {
    add_ids(table.users);
    add_ids(table.items);
    if (options.table.order == row_order::time) {
      input_.time = count_;
      add("l", table.times.data());
    }
    if (options.min_rating) {
      input_.rating = count_;
      add("g", table.ratings.data());
    }
    set_validity(table.valid);
    for (std::size_t i = 0; i < count_; ++i) {
      columns_[i].array.length = static_cast<std::int64_t>(table.users.size());
      column_arrays_[i] = &columns_[i].array;
      column_schemas_[i] = &columns_[i].schema;
    }
    input_.name = table.name;
    input_.item = 1;
    input_.schema.n_children = static_cast<std::int64_t>(count_);
    input_.schema.children = column_schemas_.data();
    ArrowArray& batch = input_.batches.emplace_back();
    batch.length = static_cast<std::int64_t>(table.users.size());
    batch.null_count = -1;  // unknown
    batch.n_buffers = 1;
    batch.buffers = &validity_;
    batch.n_children = input_.schema.n_children;
    batch.children = column_arrays_.data();
  }
  table_as_arrow(const table_as_arrow&) = delete;
  table_as_arrow& operator=(const table_as_arrow&) = delete;

  const arrow_input& input() const { return input_; }

 private:
  struct column {
    ArrowSchema schema{};
    ArrowArray array{};
    std::array<const void*, 3> buffers{};
  };

  void add_ids(const raw_ids& ids) {
    add(ids.is_text() ? "U" : "l", ids.numbers_or_offsets().data(), ids.bytes().data());
  }

  void add(const char* format, const void* values, const void* text = nullptr) {
    column& made = columns_[count_++];
    made.schema.format = format;
    made.buffers = {nullptr, values, text};
    made.array.n_buffers = text == nullptr ? 2 : 3;
    made.array.buffers = made.buffers.data();
  }

  /// Packs bytes to bits.
  void set_validity(std::span<const std::uint8_t> valid) {
    if (std::ranges::find(valid, 0) == valid.end()) return;
    bits_.assign(valid.size() / 8 + 1, 0);
    for (std::size_t row = 0; row < valid.size(); ++row) {
      if (valid[row] != 0) bits_[row / 8] = static_cast<std::uint8_t>(bits_[row / 8] | 1U << (row % 8));
    }
    validity_ = bits_.data();
  }

  arrow_input input_;
  std::array<column, 4> columns_;
  std::size_t count_ = 0;
  std::array<ArrowArray*, 4> column_arrays_{};
  std::array<ArrowSchema*, 4> column_schemas_{};
  std::vector<std::uint8_t> bits_;
  const void* validity_ = nullptr;
};

}  // namespace

ratings read_columns(std::span<const rating_table> tables, const prepare_options& options, const run_control& control) {
  const rating_table& first = tables.front();
  for (const rating_table& table : tables) check_table(table, options);
  check_kinds(tables);
  const row_rules rules = rules_of(options);
  ratings_format format;
  if (options.table.order == row_order::time) format.timestamp = 0;
  collector all(kind_of(first.users), kind_of(first.items));
  all.result().name = first.name;
  all.result().detected = describe_columns(first, options);
  if (!first.times.empty()) all.result().times_per_second = guess_times_per_second(first.times.front());
  support::thread_pool pool(control.thread_count());
  for (const rating_table& table : tables) {
    const table_as_arrow given(table, options);
    all.begin_part(given.input().name, row_locations::unit::row, 0);
    read_arrow_rows(given.input(), {format, rules, kind_of(first.users), kind_of(first.items)}, pool, control, all);
  }
  return std::move(all.result());
}

}  // namespace negpipe::ingest

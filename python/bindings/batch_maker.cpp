#include "batch_maker.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <numeric>

#include "negpipe/error.hpp"

namespace negpipe::python {

namespace {

struct type_name {
  column_type type;
  const char* name;
  std::size_t bytes;
};
constexpr std::array type_names{
    type_name{column_type::boolean, "bool", 1},  type_name{column_type::int8, "int8", 1},
    type_name{column_type::uint16, "uint16", 2}, type_name{column_type::int32, "int32", 4},
    type_name{column_type::int64, "int64", 8},   type_name{column_type::float32, "float32", 4},
};

const type_name& entry(column_type type) { return type_names[static_cast<std::size_t>(type)]; }

/// Memory of this thread for values that are converted after they are made.
template <typename T, int slot>
std::span<T> scratch(std::size_t count) {
  thread_local std::vector<T> memory;
  if (memory.size() < count) memory.resize(count);
  return {memory.data(), count};
}

template <typename To, typename From>
void convert(std::span<const From> from, void* to) {
  std::transform(from.begin(), from.end(), static_cast<To*>(to), [](From value) { return static_cast<To>(value); });
}

/// Points that are made at once where values are converted, which is done while they are in the first-level cache; the
/// CPU backend's own block.
constexpr std::size_t converted_points = 16'384;

std::size_t piece_of(const output_types& types, std::size_t count) {
  const bool is_direct = types.users == column_type::int32 && types.items != column_type::int64 &&
                         types.labels == column_type::int8;
  return is_direct ? count : std::min(count, converted_points);
}

/// The address of a value of a column.
void* value_address(void* column, column_type type, std::size_t offset) {
  return static_cast<std::byte*>(column) + offset * bytes_of(type);
}

/// An int32 column that ends up as int32 or int64.
class user_target {
 public:
  user_target(column_type type, void* to, std::size_t count)
      : widened_(type == column_type::int64 ? to : nullptr),
        made_(widened_ == nullptr ? std::span(static_cast<std::int32_t*>(to), count)
                                  : scratch<std::int32_t, 0>(count)) {}
  std::span<std::int32_t> made() const { return made_; }
  void finish() const {
    if (widened_ != nullptr) convert<std::int64_t, std::int32_t>(made_, widened_);
  }

 private:
  void* widened_;
  std::span<std::int32_t> made_;
};

/// An item column that ends up as uint16, int32 or int64. slot: of the scratch memory.
template <int slot>
class item_target {
 public:
  item_target(column_type type, void* to, std::size_t count)
      : widened_(type == column_type::int64 ? to : nullptr),
        made_(type == column_type::uint16  ? item_column(to, item_type::uint16, count)
              : type == column_type::int32 ? item_column(to, item_type::int32, count)
                                           : item_column(scratch<std::int32_t, slot>(count))) {}
  item_column made() const { return made_; }
  void finish() const {
    if (widened_ == nullptr) return;
    convert<std::int64_t>(std::span(static_cast<const std::int32_t*>(made_.data()), made_.size()), widened_);
  }

 private:
  void* widened_;
  item_column made_;
};

/// An int8 column that ends up as int8, int64 or float32.
class label_target {
 public:
  label_target(column_type type, void* to, std::size_t count)
      : type_(type), to_(to),
        made_(type == column_type::int8 ? std::span(static_cast<std::int8_t*>(to), count)
                                        : scratch<std::int8_t, 2>(count)) {}
  std::span<std::int8_t> made() const { return made_; }
  void finish() const {
    if (type_ == column_type::float32) convert<float, std::int8_t>(made_, to_);
    if (type_ == column_type::int64) convert<std::int64_t, std::int8_t>(made_, to_);
  }

 private:
  column_type type_;
  void* to_;
  std::span<std::int8_t> made_;
};

/// Columns of a training batch; third: labels or negatives.
std::vector<column> training_columns(const sampler& source, const output_types& types, std::size_t part, column third) {
  std::vector<column> columns{{"user_id", types.users, {part}}, {"item_id", types.items, {part}}, std::move(third)};
  if (source.plan().pad == padding_policy::mask) {
    columns.push_back({"valid_point_mask", column_type::boolean, {part}});
  }
  return columns;
}

/// The fourth column, or nothing where the padding needs none.
std::span<std::int8_t> valid_column(std::span<void* const> targets, std::size_t part) {
  if (targets.size() <= 3) return {};
  return {static_cast<std::int8_t*>(targets[3]), part};
}

class training_maker final : public batch_maker {
 public:
  training_maker(const sampler& source, const output_types& types, std::uint64_t rank, std::uint64_t part)
      : batch_maker(source.batch_count(), columns_of(source, types, part)),
        source_(source), types_(types), offset_(rank * part), part_(part), piece_(piece_of(types, part)) {}

  void make(std::uint32_t epoch, std::uint64_t batch, std::span<void* const> targets) const override {
    const std::uint64_t first = source_.plan().first_position(batch) + offset_;
    const std::span<std::int8_t> valid = valid_column(targets, part_);
    for (std::size_t done = 0; done < part_; done += piece_) {
      const std::size_t count = std::min(piece_, part_ - done);
      const user_target users(types_.users, value_address(targets[0], types_.users, done), count);
      const item_target<1> items(types_.items, value_address(targets[1], types_.items, done), count);
      const label_target labels(types_.labels, value_address(targets[2], types_.labels, done), count);
      source_.fill_points(epoch, first + done, count,
                          {users.made(), items.made(), labels.made(),
                           valid.empty() ? valid : valid.subspan(done, count)});
      users.finish();
      items.finish();
      labels.finish();
    }
  }

 private:
  static std::vector<column> columns_of(const sampler& source, const output_types& types, std::size_t part) {
    return training_columns(source, types, part, {"labels", types.labels, {part}});
  }

  sampler source_;
  output_types types_;
  std::uint64_t offset_;
  std::size_t part_;
  std::size_t piece_;
};

class pair_maker final : public batch_maker {
 public:
  pair_maker(const sampler& source, const output_types& types, std::uint64_t rank, std::uint64_t part)
      : batch_maker(source.batch_count(), columns_of(source, types, part)),
        source_(source), types_(types), offset_(rank * part), part_(part) {}

  void make(std::uint32_t epoch, std::uint64_t batch, std::span<void* const> targets) const override {
    const user_target users(types_.users, targets[0], part_);
    const item_target<1> items(types_.items, targets[1], part_);
    const item_target<3> negatives(types_.items, targets[2], part_ * source_.plan().negatives);
    source_.fill_rows(epoch, source_.plan().first_position(batch) + offset_, part_,
                      {users.made(), items.made(), negatives.made(), valid_column(targets, part_)});
    users.finish();
    items.finish();
    negatives.finish();
  }

 private:
  static std::vector<column> columns_of(const sampler& source, const output_types& types, std::size_t part) {
    return training_columns(source, types, part, {"negative_item_id", types.items, {part, source.plan().negatives}});
  }

  sampler source_;
  output_types types_;
  std::uint64_t offset_;
  std::uint64_t part_;
};

class evaluation_maker final : public batch_maker {
 public:
  evaluation_maker(const row_maker& rows, std::uint64_t batch_count, std::uint64_t rows_per_batch, std::uint64_t rank,
                   std::uint64_t world_size)
      : batch_maker((batch_count + world_size - 1) / world_size, rows.columns_of(rows_per_batch)),
        rows_(rows), part_count_(batch_count), rows_per_batch_(rows_per_batch), rank_(rank), world_size_(world_size) {}

  void make(std::uint32_t, std::uint64_t batch, std::span<void* const> targets) const override {
    const std::uint64_t part = batch * world_size_ + rank_;
    if (part >= part_count_) return rows_.make_padding(rows_per_batch_, targets);
    rows_.make(part * rows_per_batch_, rows_per_batch_, targets);
  }

 private:
  row_maker rows_;
  std::uint64_t part_count_;
  std::uint64_t rows_per_batch_;
  std::uint64_t rank_;
  std::uint64_t world_size_;
};

}  // namespace

std::size_t bytes_of(column_type type) { return entry(type).bytes; }

const char* name_of(column_type type) { return entry(type).name; }

column_type column_type_of(const std::string& field, const std::string& name, std::span<const column_type> allowed) {
  std::string names;
  for (const column_type type : allowed) {
    if (name == entry(type).name) return type;
    names += std::string(names.empty() ? "" : ", ") + entry(type).name;
  }
  throw option_error("`" + field + "`: " + name + " given; expected one of " + names);
}

std::size_t column::count() const {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

void check_items_fit(std::int32_t item_count, column_type items) {
  if (items != column_type::uint16 || item_count <= std::numeric_limits<std::uint16_t>::max() + 1) return;
  throw option_error("`item_dtype`: uint16 given, but there are " + std::to_string(item_count) +
                     " items; choose int32 or int64");
}

std::shared_ptr<const batch_maker> make_training_maker(const sampler& source, const output_types& types,
                                                       std::uint64_t rank, std::uint64_t world_size) {
  check_items_fit(source.data().item_count(), types.items);
  const std::uint64_t batch_size = source.plan().batch_size;
  const bool pairwise = source.plan().layout == batch_layout::pairwise;
  if (batch_size % world_size != 0) {
    throw option_error("`batch_size`: " + std::to_string(batch_size) + (pairwise ? " rows" : " points") +
                       " cannot be split into " +
                       std::to_string(world_size) + " equal parts, one a rank; " +
                       std::to_string((batch_size / world_size + 1) * world_size) + " can");
  }
  if (pairwise) return std::make_shared<pair_maker>(source, types, rank, batch_size / world_size);
  return std::make_shared<training_maker>(source, types, rank, batch_size / world_size);
}

row_maker::row_maker(const sampler& source, const output_types& types) : source_(source), types_(types) {
  check_items_fit(source.data().item_count(), types.items);
}

std::vector<column> row_maker::columns_of(std::uint64_t rows) const {
  const std::vector<std::size_t> shape{rows, row_length()};
  return {{"user_id", types_.users, shape},
          {"item_id", types_.items, shape},
          {"duplicate_mask", column_type::boolean, shape}};
}

void row_maker::make(std::uint64_t first, std::uint64_t count, std::span<void* const> targets) const {
  const std::size_t values = count * row_length();
  const user_target users(types_.users, targets[0], values);
  const item_target<1> items(types_.items, targets[1], values);
  source_.fill_evaluation_rows(first, count,
                               {users.made(), items.made(), {static_cast<std::int8_t*>(targets[2]), values}});
  users.finish();
  items.finish();
}

// Zeros, which repeat the first of their row.
void row_maker::make_padding(std::uint64_t count, std::span<void* const> targets) const {
  const std::size_t values = count * row_length();
  std::fill_n(static_cast<std::byte*>(targets[0]), values * bytes_of(types_.users), std::byte{0});
  std::fill_n(static_cast<std::byte*>(targets[1]), values * bytes_of(types_.items), std::byte{0});
  auto* const mask = static_cast<std::int8_t*>(targets[2]);
  for (std::size_t i = 0; i < values; ++i) mask[i] = i % row_length() != 0 ? 1 : 0;
}

std::shared_ptr<const batch_maker> make_evaluation_maker(const sampler& source, const output_types& types,
                                                         std::uint64_t rank, std::uint64_t world_size) {
  const row_maker rows(source, types);
  return std::make_shared<evaluation_maker>(rows, source.evaluation_batch_count(),
                                            source.evaluation_plan().batch_size / rows.row_length(), rank, world_size);
}

}  // namespace negpipe::python

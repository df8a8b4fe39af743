#include "candidates.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "negpipe/error.hpp"

namespace negpipe::python {

candidates::candidates(dataset data, heldout_set set, std::span<const std::int32_t> users,
                       std::span<const std::int32_t> items)
    : data_(std::move(data)), set_(set), users_(users.begin(), users.end()), items_(items.begin(), items.end()),
      mask_(items.size()), row_length_(users.empty() ? 2 : items.size() / users.size()) {
  if (row_length_ < 2 || users_.size() * row_length_ != items_.size()) {
    throw format_error(std::to_string(users_.size()) + " users and " + std::to_string(items_.size()) +
                       " items; expected a held-out item and as many negatives in each row");
  }
  if (data_.heldout(set_).offsets.empty()) throw format_error("the dataset has no validation set");
  for (std::size_t row = 0; row < row_count(); ++row) check(row);
  refuse_repeated_rows();
  mark_duplicates();
}

void candidates::check(std::size_t row) const {
  const std::string where = "row " + std::to_string(row) + ": ";
  const std::int32_t user_number = users_[row];
  if (user_number < 0 || user_number >= data_.user_count()) {
    throw format_error(where + "there is no user " + std::to_string(user_number));
  }
  const auto user_index = static_cast<std::size_t>(user_number);
  const auto begin = data_.positive_items().begin() + data_.user_offsets()[user_index];
  const auto end = data_.positive_items().begin() + data_.user_offsets()[user_index + 1];
  const std::string of_user = " of user " + data_.user_ids().to_string(user_index);
  for (const std::int32_t item : items(row)) {
    if (item < 0 || item >= data_.item_count()) {
      throw format_error(where + "there is no item " + std::to_string(item));
    }
    if (std::binary_search(begin, end, item)) {
      throw format_error(where + "item " + data_.item_ids().to_string(static_cast<std::size_t>(item)) +
                         " is a training positive" + of_user);
    }
  }
  if (!std::ranges::binary_search(data_.heldout(set_).of(user_index), items(row)[0])) {
    throw format_error(where + "item " + data_.item_ids().to_string(static_cast<std::size_t>(items(row)[0])) +
                       " is not a " + (set_ == heldout_set::test ? "test" : "validation") + " item" + of_user);
  }
}

void candidates::refuse_repeated_rows() const {
  std::vector<std::size_t> rows(row_count());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const auto evaluated = [this](std::size_t row) { return std::pair(users_[row], items(row)[0]); };
  std::ranges::stable_sort(rows, {}, evaluated);
  const auto repeated = std::ranges::adjacent_find(rows, {}, evaluated);
  if (repeated == rows.end()) return;
  const auto [user, item] = evaluated(repeated[0]);
  throw format_error("row " + std::to_string(repeated[1]) + " repeats row " + std::to_string(repeated[0]) + ": item " +
                     data_.item_ids().to_string(static_cast<std::size_t>(item)) + " of user " +
                     data_.user_ids().to_string(static_cast<std::size_t>(user)) + " would count twice");
}

void candidates::mark_duplicates() {
  std::vector<std::size_t> last_row(static_cast<std::size_t>(data_.item_count()), row_count());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    std::size_t& seen_in = last_row[static_cast<std::size_t>(items_[i])];
    mask_[i] = seen_in == i / row_length_ ? 1 : 0;
    seen_in = i / row_length_;
  }
}

namespace {

/// Calls write with a pointer of the column's type.
template <typename Write>
void with_type(column_type type, void* target, const Write& write) {
  switch (type) {
    case column_type::uint16: return write(static_cast<std::uint16_t*>(target));
    case column_type::int32: return write(static_cast<std::int32_t*>(target));
    case column_type::int64: return write(static_cast<std::int64_t*>(target));
    default: throw std::logic_error("not a type of users or items");
  }
}

class candidate_maker final : public batch_maker {
 public:
  candidate_maker(std::shared_ptr<const candidates> source, const output_types& types, std::size_t rows,
                  std::uint64_t rank, std::uint64_t world_size)
      : batch_maker(batches(source->row_count(), rows * world_size), columns_of(*source, types, rows)),
        source_(std::move(source)), rows_(rows), rank_(rank), world_size_(world_size) {}

  void make(std::uint32_t, std::uint64_t batch, std::span<void* const> targets) const override {
    const std::size_t first = (batch * world_size_ + rank_) * rows_;
    const std::size_t count = first < source_->row_count() ? std::min(rows_, source_->row_count() - first) : 0;
    const std::size_t length = source_->row_length();
    with_type(columns()[0].type, targets[0], [&]<typename T>(T* to) {
      for (std::size_t row = 0; row < count; ++row, to += length) {
        std::fill_n(to, length, static_cast<T>(source_->user(first + row)));
      }
      std::fill_n(to, (rows_ - count) * length, T{0});
    });
    with_type(columns()[1].type, targets[1], [&]<typename T>(T* to) {
      for (std::size_t row = 0; row < count; ++row) {
        for (const std::int32_t item : source_->items(first + row)) *to++ = static_cast<T>(item);
      }
      std::fill_n(to, (rows_ - count) * length, T{0});
    });
    auto* mask = static_cast<std::int8_t*>(targets[2]);
    for (std::size_t row = 0; row < rows_; ++row, mask += length) {
      std::fill_n(mask, length, std::int8_t{1});  // padding: zeros, which repeat the first of their row
      mask[0] = 0;
      if (row < count) std::ranges::copy(source_->duplicate_mask(first + row), mask);
    }
  }

 private:
  static std::uint64_t batches(std::size_t rows, std::uint64_t rows_of_a_batch) {
    return (rows + rows_of_a_batch - 1) / rows_of_a_batch;
  }

  static std::vector<column> columns_of(const candidates& source, const output_types& types, std::size_t rows) {
    const std::vector<std::size_t> shape{rows, source.row_length()};
    return {{"user_id", types.users, shape},
            {"item_id", types.items, shape},
            {"duplicate_mask", column_type::boolean, shape}};
  }

  std::shared_ptr<const candidates> source_;
  std::size_t rows_;
  std::uint64_t rank_;
  std::uint64_t world_size_;
};

}  // namespace

std::shared_ptr<const batch_maker> make_candidate_maker(std::shared_ptr<const candidates> source,
                                                        const output_types& types, std::size_t rows,
                                                        std::uint64_t rank, std::uint64_t world_size) {
  check_items_fit(source->data().item_count(), types.items);
  return std::make_shared<candidate_maker>(std::move(source), types, rows, rank, world_size);
}

}  // namespace negpipe::python

#include "negpipe/backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "negpipe/core/duplicate_mask.hpp"
#include "negpipe/error.hpp"
#include "negpipe/run_control.hpp"
#include "thread_pool.hpp"

namespace negpipe {

namespace {

constexpr std::uint64_t points_per_block = 16'384;
constexpr std::uint64_t values_per_block = 65'536;  // of evaluation rows, rounded to whole rows

void put_item(void* items, item_type width, std::uint64_t place, std::int32_t item) {
  if (width == item_type::uint16) {
    static_cast<std::uint16_t*>(items)[place] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(items)[place] = item;
  }
}

void check_range(const char* what, std::uint64_t first, std::uint64_t count, std::uint64_t limit) {
  if (first <= limit && count <= limit - first) return;
  throw option_error(fmt::format("{} {} .. {} asked for, but there are {}; ask for a range inside", what, first,
                                 first + count, limit));
}

void fill_points(const training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                 std::uint64_t first, std::uint64_t begin, std::uint64_t end, const training_columns& out) {
  const core::philox_source source{plan.seed};
  for (std::uint64_t i = begin; i < end; ++i) {
    const core::point made = core::point_at(plan, key, view, first + i, source);
    out.users[i] = index(made.user);
    put_item(out.items, out.item_width, i, index(made.item));
    out.labels[i] = made.label;
    if (out.valid != nullptr) out.valid[i] = made.valid;
  }
}

void fill_row(const evaluation_plan& plan, const core::positives_view& view, std::uint64_t row,
              std::vector<std::int32_t>& items) {
  if (row >= plan.user_count) {
    std::fill(items.begin(), items.end(), 0);
    return;
  }
  const core::philox_source source{plan.seed};
  const user_id user{static_cast<std::int32_t>(row)};
  items[0] = view.heldout[row];
  if (plan.with_replacement) {
    for (std::uint32_t column = 1; column < items.size(); ++column) {
      items[column] = index(core::eval_item_at(plan, view, user, column, source));
    }
  } else {
    const auto negatives = core::evaluation_row::make(view, user, source);
    for (std::uint32_t j = 0; j < plan.negatives; ++j) items[j + 1] = negatives.negative(j);
  }
}

class cpu_backend final : public backend {
 public:
  cpu_backend(const positives_index& index, unsigned threads) : index_(index), pool_(threads) {}

  std::string description() const override { return fmt::format("cpu ({} threads)", pool_.thread_count()); }

  void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     const training_columns& out) const override {
    check_range("positions", first, count, plan.padded_count());
    pool_.for_each(core::ceil_div(count, points_per_block), [&](std::uint64_t block) {
      const std::uint64_t begin = block * points_per_block;
      fill_points(plan, key, index_.view(), first, begin, std::min(count, begin + points_per_block), out);
    });
  }

  void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       const evaluation_columns& out) const override {
    check_range("evaluation rows", first_row, row_count, plan.padded_count() / plan.row_length());
    const std::uint64_t rows_per_block = std::max<std::uint64_t>(1, values_per_block / plan.row_length());
    pool_.for_each(core::ceil_div(row_count, rows_per_block), [&](std::uint64_t block) {
      const std::uint64_t begin = block * rows_per_block;
      fill_rows(plan, first_row, begin, std::min(row_count, begin + rows_per_block), out);
    });
  }

 private:
  void fill_rows(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t begin, std::uint64_t end,
                 const evaluation_columns& out) const {
    const core::positives_view view = index_.view();
    std::vector<std::int32_t> items(plan.row_length());
    std::vector<std::uint8_t> seen(static_cast<std::size_t>(view.item_count));
    for (std::uint64_t row = begin; row < end; ++row) {
      fill_row(plan, view, first_row + row, items);
      const bool is_padding = first_row + row >= plan.user_count;
      const auto user = is_padding ? 0 : static_cast<std::int32_t>(first_row + row);
      for (std::uint64_t column = 0; column < items.size(); ++column) {
        const std::uint64_t place = row * items.size() + column;
        out.users[place] = user;
        put_item(out.items, out.item_width, place, items[column]);
        auto& mark = seen[static_cast<std::size_t>(items[column])];
        out.duplicate_mask[place] = static_cast<std::int8_t>(mark);
        mark = 1;
      }
      for (const std::int32_t item : items) seen[static_cast<std::size_t>(item)] = 0;
    }
  }

  positives_index index_;
  mutable support::thread_pool pool_;
};

}  // namespace

std::unique_ptr<backend> make_cpu_backend(const positives_index& index, unsigned threads) {
  run_control control;
  control.threads = threads;
  return std::make_unique<cpu_backend>(index, control.thread_count());
}

}  // namespace negpipe

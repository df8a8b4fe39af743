#include "cpu_backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "negpipe/column_checks.hpp"
#include "negpipe/run_control.hpp"
#include "repeat_marker.hpp"
#include "row_repair.hpp"
#include "thread_pool.hpp"

namespace negpipe {

namespace {

void put_item(void* items, item_type width, std::uint64_t offset, std::int32_t item) {
  if (width == item_type::uint16) {
    static_cast<std::uint16_t*>(items)[offset] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(items)[offset] = item;
  }
}

void put_items(const std::vector<std::int32_t>& from, void* items, item_type width, std::uint64_t offset) {
  if (width == item_type::uint16) {
    std::transform(from.begin(), from.end(), static_cast<std::uint16_t*>(items) + offset,
                   [](std::int32_t item) { return static_cast<std::uint16_t>(item); });
  } else {
    std::copy(from.begin(), from.end(), static_cast<std::int32_t*>(items) + offset);
  }
}

// Makes points one by one with core: for padding, and for cycles that the kernels do not cover.
void fill_singly(const training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                 std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
  const core::philox_source source{plan.seed};
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::point made = core::point_at(plan, key, view, first + i, source);
    out.users[i] = index(made.user);
    put_item(out.items, out.item_width, i, index(made.item));
    out.labels[i] = made.label;
    if (out.valid != nullptr) out.valid[i] = made.valid;
  }
}

// The same for rows of the pairwise layout.
void fill_pairs_singly(const training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                       std::uint64_t first, std::uint64_t count, const core::pair_pointers& out) {
  const core::philox_source source{plan.seed};
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::pair_row made = core::pair_at(plan, key, view, first + i, source);
    out.users[i] = index(made.user);
    put_item(out.items, out.item_width, i, index(made.item));
    if (out.valid != nullptr) out.valid[i] = made.valid;
    for (std::uint32_t k = 0; k < plan.negatives; ++k) {
      const item_id negative = core::pair_negative(plan, key, view, made, k, source);
      put_item(out.negatives, out.item_width, i * plan.negatives + k, index(negative));
    }
  }
}

core::training_pointers columns_from(const core::training_pointers& out, std::uint64_t offset) {
  return {out.users + offset, static_cast<std::byte*>(out.items) + offset * item_bytes(out.item_width), out.item_width,
          out.labels + offset, out.valid == nullptr ? nullptr : out.valid + offset};
}

core::pair_pointers columns_from(const core::pair_pointers& out, std::uint64_t offset, std::uint32_t negatives) {
  const std::uint64_t bytes = item_bytes(out.item_width);
  return {out.users + offset, static_cast<std::byte*>(out.items) + offset * bytes,
          static_cast<std::byte*>(out.negatives) + offset * negatives * bytes, out.item_width,
          out.valid == nullptr ? nullptr : out.valid + offset};
}

// Returns how many of the positions [first, first + count) the kernels cover: those before the padding, if the
// permutation is a network.
std::uint64_t covered_count(const training_plan& plan, const core::cycle_key& key, std::uint64_t first,
                            std::uint64_t count) {
  const bool covered = key.order.is_network() && plan.positive_count > 1 && first < plan.point_count;
  return covered ? std::min(count, plan.point_count - first) : 0;
}

// Makes the negatives of a user distinct: core::write_row. items: draws with replacement by weight.
void make_distinct(const core::evaluation_plan& plan, const core::positives_view& view, user_id user,
                   row_repairer& repair, std::span<std::int32_t> items) {
  const std::uint32_t left = core::items_left(plan, view, user);
  const std::uint64_t first = plan.first_element(user) + 1;
  const row_rules rules{{view.heldout + index(user), 1}, true};
  repair(view, user, plan.weights, core::evaluation_stream(), first, rules,
         items.first(std::min<std::size_t>(left, items.size())));
  for (std::size_t i = left; i < items.size(); ++i) items[i] = items[i - left];  // evaluation_plan::fewer
}

class cpu_backend final : public backend {
 public:
  /// options.threads must be resolved: at least 1.
  cpu_backend(const positives_index& index, const cpu_backend_options& options)
      : index_(index), counts_(dataset_counts::of(index.source())), options_(options), pool_(options.threads) {
    index_.view();  // deferred structures are built here, not by the first fill
  }

  std::string description() const override {
    const unsigned threads = pool_.thread_count();
    return fmt::format("cpu ({}, {} thread{} a batch){}", options_.kernels.name, threads, threads == 1 ? "" : "s",
                       options_.note);
  }

  void fill_training(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                     const training_columns& out) const override {
    check_training_fill(plan, key, counts_, first, count, out, {});
    const core::training_pointers columns = pointers_of(out);
    const std::uint64_t most = options_.points_per_block;
    share(core::ceil_div(count, most), [&](std::uint64_t block) {
      const std::uint64_t begin = block * most;
      fill_points(plan, key, first + begin, std::min(most, count - begin), columns_from(columns, begin));
    });
  }

  void fill_pairs(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                  const pair_columns& out) const override {
    check_pair_fill(plan, key, counts_, first, count, out, {});
    const core::pair_pointers columns = pointers_of(out);
    const std::uint64_t most = std::max<std::uint64_t>(1, options_.points_per_block / (plan.negatives + 1ULL));
    share(core::ceil_div(count, most), [&](std::uint64_t block) {
      const std::uint64_t begin = block * most;
      fill_rows(plan, key, first + begin, std::min(most, count - begin), columns_from(columns, begin, plan.negatives));
    });
  }

  void fill_evaluation(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t row_count,
                       const evaluation_columns& out) const override {
    check_evaluation_fill(plan, counts_, first_row, row_count, out, {});
    const core::evaluation_pointers columns = pointers_of(out);
    const std::uint64_t rows_per_block = std::max<std::uint64_t>(1, options_.values_per_block / plan.row_length());
    share(core::ceil_div(row_count, rows_per_block), [&](std::uint64_t block) {
      const std::uint64_t begin = block * rows_per_block;
      fill_rows(plan, first_row, begin, std::min(row_count, begin + rows_per_block), columns);
    });
  }

  std::unique_ptr<backend> with_threads(unsigned threads) const override {
    cpu_backend_options options = options_;
    options.threads = threads;
    return make_cpu_backend(index_, options);
  }

 private:
  // The pool serves one call at a time. A concurrent call works in its own thread: waiting would idle it, and a pool
  // per call would start more threads than cores.
  void share(std::uint64_t block_count, const std::function<void(std::uint64_t)>& body) const {
    if (block_count > 1) {
      const std::unique_lock lock(sharing_, std::try_to_lock);
      if (lock.owns_lock()) return pool_.for_each(block_count, body);
    }
    for (std::uint64_t block = 0; block < block_count; ++block) body(block);
  }

  void fill_points(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                   const core::training_pointers& out) const {
    const core::positives_view view = index_.view();
    const std::uint64_t in_blocks = covered_count(plan, key, first, count);
    if (in_blocks != 0) options_.kernels.fill_points(plan, key, view, first, in_blocks, out);
    fill_singly(plan, key, view, first + in_blocks, count - in_blocks, columns_from(out, in_blocks));
  }

  void fill_rows(const training_plan& plan, const core::cycle_key& key, std::uint64_t first, std::uint64_t count,
                 const core::pair_pointers& out) const {
    const core::positives_view view = index_.view();
    const std::uint64_t in_blocks = covered_count(plan, key, first, count);
    if (in_blocks != 0) options_.kernels.fill_pairs(plan, key, view, first, in_blocks, out);
    fill_pairs_singly(plan, key, view, first + in_blocks, count - in_blocks,
                      columns_from(out, in_blocks, plan.negatives));
  }

  void fill_rows(const evaluation_plan& plan, std::uint64_t first_row, std::uint64_t begin, std::uint64_t end,
                 const core::evaluation_pointers& out) const {
    const core::positives_view view = index_.view();
    std::vector<std::int32_t> items(plan.row_length());
    repeat_marker mark(view.item_count);
    const bool is_repaired = !plan.with_replacement && plan.weights.is_set();
    row_repairer repair(is_repaired ? plan.row_length() : 0, plan.seed);
    for (std::uint64_t i = begin; i < end; ++i) {
      const std::uint64_t row = first_row + i;
      const std::uint64_t offset = i * items.size();
      const bool is_padding = !core::is_evaluated(plan, view, row);
      const user_id user{is_padding ? 0 : static_cast<std::int32_t>(row)};
      if (is_padding) {
        std::fill(items.begin(), items.end(), 0);
      } else {
        items[0] = view.heldout[row];
        options_.kernels.fill_negatives(plan, view, user, items.data() + 1);
        if (is_repaired) make_distinct(plan, view, user, repair, std::span(items).subspan(1));
      }
      const auto shown = static_cast<std::int32_t>(is_padding ? 0 : plan.first_user + row);
      std::fill_n(out.users + offset, items.size(), shown);
      put_items(items, out.items, out.item_width, offset);
      // Without replacement, a row holds the held-out item and distinct other items. Repeats occur only with `fewer`.
      if (is_padding || plan.with_replacement || plan.fewer) {
        mark(items, out.duplicate_mask + offset);
      } else {
        std::fill_n(out.duplicate_mask + offset, items.size(), std::int8_t{0});
      }
    }
  }

  positives_index index_;
  dataset_counts counts_;
  cpu_backend_options options_;
  mutable std::mutex sharing_;
  mutable support::thread_pool pool_;
};

}  // namespace

std::unique_ptr<backend> make_cpu_backend(const positives_index& index, unsigned threads) {
  return make_cpu_backend(index, cpu_backend_options{.threads = threads});
}

std::unique_ptr<backend> make_cpu_backend(const positives_index& index, const cpu_backend_options& options) {
  cpu_backend_options resolved = options;
  resolved.threads = run_control{.threads = options.threads}.thread_count();
  return std::make_unique<cpu_backend>(index, resolved);
}

}  // namespace negpipe

#include "negpipe/column_checks.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "negpipe/error.hpp"

namespace negpipe {

namespace {

void check_range(const char* what, std::uint64_t first, std::uint64_t count, std::uint64_t limit) {
  if (first <= limit && count <= limit - first) return;
  throw option_error(fmt::format("{} {} from {} on were requested, but there are {} in all; request a range inside",
                                 count, what, first, limit));
}

std::string to_text(memory_location location) {
  switch (location.space) {
    case memory_space::host: return "host memory";
    case memory_space::device: return fmt::format("memory of the device cuda:{}", location.device);
    case memory_space::managed: break;
  }
  return "managed memory";
}

/// One column of a fill of count values.
struct column_check {
  std::uint64_t count;
  memory_location wanted;

  void operator()(const char* name, const void* data, std::size_t size, std::uint64_t value_bytes) const {
    if (size < count) {
      throw option_error(fmt::format("the column {} has room for {} values, {} wanted", name, size, count));
    }
    if (count == 0) return;
    if (reinterpret_cast<std::uintptr_t>(data) % value_bytes != 0) {
      throw option_error(
          fmt::format("the column {} begins at address {}, a multiple of {} wanted; align it to its type",
                      name, data, value_bytes));
    }
    const memory_location found = memory_location_of(data);
    if (found.space == memory_space::managed) return;
    const bool is_there = found.space == wanted.space &&
                          (found.space == memory_space::host || found.device == wanted.device);
    if (!is_there) {
      throw option_error(
          fmt::format("the column {} lies in {}, {} wanted; copy it, or sample on the device that holds the columns",
                      name, to_text(found), to_text(wanted)));
    }
  }
};

void check_items(const char* name, const column_check& check, const item_column& items, std::int32_t item_count) {
  if (items.type() == item_type::uint16 && item_type_for(item_count) != item_type::uint16 && check.count != 0) {
    throw option_error(
        fmt::format("the column {} is of type uint16, which fits 65536 items, but the dataset has {}; int32 wanted",
                    name, item_count));
  }
  check(name, items.data(), items.size(), item_bytes(items.type()));
}

void check_counts(const char* what, std::uint64_t planned, std::uint64_t found) {
  if (planned == found) return;
  throw option_error(
      fmt::format("the plan is of another dataset: made for {} {}, found {}; plan for this dataset", planned,
                  what, found));
}

void check_plan(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                batch_layout wanted) {
  if (plan.layout != wanted) {
    const auto name = [](batch_layout layout) { return layout_names.begin()[static_cast<std::size_t>(layout)].second; };
    throw option_error("layout", fmt::format("the plan is {}, {} columns were given; fill the columns of the plan's "
                                             "layout",
                                             name(plan.layout), name(wanted)));
  }
  check_counts("training positives", plan.positive_count, counts.positives);
  check_counts("items", plan.item_draw.n, static_cast<std::uint64_t>(counts.items));
  if (key.order.size != plan.point_count) {
    throw option_error(fmt::format("the cycle key is of another plan: made for {} points, {} wanted", key.order.size,
                                   plan.point_count));
  }
}

void check_valid(const training_plan& plan, const column_check& check, std::span<const std::int8_t> valid) {
  if (plan.pad == padding_policy::mask && valid.empty() && check.count != 0) {
    throw option_error("the column valid is missing: padding is mask, which needs it");
  }
  if (!valid.empty()) check("valid", valid.data(), valid.size(), 1);
}

void check_plan(const evaluation_plan& plan, const dataset_counts& counts, std::uint64_t first_row,
                std::uint64_t row_count) {
  check_counts("users", plan.user_count, static_cast<std::uint64_t>(counts.users));
  check_counts("items", plan.item_draw.n, static_cast<std::uint64_t>(counts.items));
  check_range("evaluation rows", first_row, row_count, plan.padded_count() / plan.row_length());
}

/// A column of a fill_queue, and the bytes that it must have.
struct wanted_bytes {
  const char* name;
  std::uint64_t byte_count;
};

void check_bytes(column_bytes columns, std::span<const wanted_bytes> wanted) {
  if (columns.size() != wanted.size()) {
    throw option_error(fmt::format("columns: {} given, {} wanted", columns.size(), wanted.size()));
  }
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    if (columns[c].size() == wanted[c].byte_count) continue;
    throw option_error(fmt::format("the column {} has {} bytes, {} wanted", wanted[c].name, columns[c].size(),
                                   wanted[c].byte_count));
  }
}

std::uint64_t item_width(const dataset_counts& counts) { return item_bytes(item_type_for(counts.items)); }

/// Returns the number of columns: the last, valid, is there only if the padding is mask.
std::size_t column_count(const training_plan& plan) { return plan.pad == padding_policy::mask ? 4 : 3; }

}  // namespace

void check_training_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                         std::uint64_t first, std::uint64_t count, const training_columns& columns,
                         memory_location wanted) {
  check_plan(plan, key, counts, batch_layout::pointwise);
  check_range("positions", first, count, plan.padded_count());
  const column_check check{count, wanted};
  check("users", columns.users.data(), columns.users.size(), sizeof(std::int32_t));
  check_items("items", check, columns.items, counts.items);
  check("labels", columns.labels.data(), columns.labels.size(), 1);
  check_valid(plan, check, columns.valid);
}

void check_pair_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                     std::uint64_t first, std::uint64_t count, const pair_columns& columns, memory_location wanted) {
  check_plan(plan, key, counts, batch_layout::pairwise);
  check_range("rows", first, count, plan.padded_count());
  const column_check check{count, wanted};
  check("users", columns.users.data(), columns.users.size(), sizeof(std::int32_t));
  check_items("items", check, columns.items, counts.items);
  // No overflow: the plan limits its rows times negatives.
  const column_check check_negatives{count * plan.negatives, wanted};
  check_items("negatives", check_negatives, columns.negatives, counts.items);
  if (check_negatives.count != 0 && columns.negatives.type() != columns.items.type()) {
    throw option_error("the columns items and negatives have different types; both uint16 or both int32 wanted");
  }
  check_valid(plan, check, columns.valid);
}

void check_evaluation_fill(const evaluation_plan& plan, const dataset_counts& counts, std::uint64_t first_row,
                           std::uint64_t row_count, const evaluation_columns& columns, memory_location wanted) {
  check_plan(plan, counts, first_row, row_count);
  const column_check check{row_count * plan.row_length(), wanted};
  check("users", columns.users.data(), columns.users.size(), sizeof(std::int32_t));
  check_items("items", check, columns.items, counts.items);
  check("duplicate_mask", columns.duplicate_mask.data(), columns.duplicate_mask.size(), 1);
}

void check_training_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                         std::uint64_t first, std::uint64_t count, column_bytes columns) {
  check_plan(plan, key, counts, batch_layout::pointwise);
  check_range("positions", first, count, plan.padded_count());
  const std::array<wanted_bytes, 4> wanted{
      {{"users", 4 * count}, {"items", item_width(counts) * count}, {"labels", count}, {"valid", count}}};
  check_bytes(columns, std::span(wanted).first(column_count(plan)));
}

void check_pair_fill(const training_plan& plan, const core::cycle_key& key, const dataset_counts& counts,
                     std::uint64_t first, std::uint64_t count, column_bytes columns) {
  check_plan(plan, key, counts, batch_layout::pairwise);
  check_range("rows", first, count, plan.padded_count());
  const std::uint64_t width = item_width(counts);
  const std::array<wanted_bytes, 4> wanted{{{"users", 4 * count},
                                            {"items", width * count},
                                            {"negatives", width * count * plan.negatives},
                                            {"valid", count}}};
  check_bytes(columns, std::span(wanted).first(column_count(plan)));
}

void check_evaluation_fill(const evaluation_plan& plan, const dataset_counts& counts, std::uint64_t first_row,
                           std::uint64_t row_count, column_bytes columns) {
  check_plan(plan, counts, first_row, row_count);
  const std::uint64_t count = row_count * plan.row_length();
  const std::array<wanted_bytes, 3> wanted{
      {{"users", 4 * count}, {"items", item_width(counts) * count}, {"duplicate_mask", count}}};
  check_bytes(columns, wanted);
}

}  // namespace negpipe

#include "unknown_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::size_t max_named = 10;

/// Keeps the first users or items.
void shorten(std::vector<std::pair<std::uint64_t, std::int32_t>>& first_rows) {
  std::ranges::sort(first_rows);
  if (first_rows.size() > max_named) first_rows.resize(max_named);
}

std::vector<std::string> names_of(const id_dictionary& ids,
                                  const std::vector<std::pair<std::uint64_t, std::int32_t>>& first_rows) {
  std::vector<std::string> names;
  for (const auto& [row, number] : first_rows) {
    names.push_back(ids.kind() == id_kind::number ? std::to_string(ids.number(number)) : std::string(ids.text(number)));
  }
  return names;
}

}  // namespace

void unknown_rows::note_training(const rating_columns& columns, const std::vector<std::uint8_t>& kept) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0 || columns.sets[i] != row_set::training) continue;
    items_[static_cast<std::size_t>(columns.items[i])] = known;
  }
}

void unknown_rows::drop(const rating_columns& columns, std::size_t user_count, const numbering& numbers,
                        std::vector<std::uint8_t>& kept) {
  std::vector<std::uint64_t> users(user_count, unseen);  // as items_
  const auto user = [&](std::size_t i) -> auto& { return users[static_cast<std::size_t>(columns.users[i])]; };
  const auto item = [&](std::size_t i) -> auto& { return items_[static_cast<std::size_t>(columns.items[i])]; };
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != 0 && columns.sets[i] == row_set::training) user(i) = known;
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0 || columns.sets[i] == row_set::training || (user(i) == known && item(i) == known)) continue;
    const std::uint64_t row = numbers.row(i);
    if (row < first_row_) first_has_known_user_ = user(i) == known;
    first_row_ = std::min(first_row_, row);
    if (user(i) == unseen) {
      user(i) = row;
      ++user_count_;
      users_.emplace_back(row, numbers.user(static_cast<std::size_t>(columns.users[i])));
    }
    if (item(i) != known) item(i) = std::min(item(i), row);
    kept[i] = 0;
    ++row_count_;
  }
  shorten(users_);
}

void unknown_rows::finish(const ratings& read, prepare_summary& summary) {
  if (policy_ == unknown_policy::error && first_row_ != unseen) {
    throw input_error(fmt::format("{}: the {} has no training row; set `unknown` to drop or keep such rows",
                                  read.locations.name_of(first_row_), first_has_known_user_ ? "item" : "user"));
  }
  first_rows items;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i] < known) items.emplace_back(items_[i], static_cast<std::int32_t>(i));
  }
  summary.unknown_rows = row_count_;
  summary.unknown_users = user_count_;
  summary.unknown_items = items.size();
  shorten(items);
  summary.unknown_user_ids = names_of(read.user_ids, users_);
  summary.unknown_item_ids = names_of(read.item_ids, items);
}

}  // namespace negpipe::ingest

#include "arrange_on_disk.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "disk_bytes.hpp"
#include "split_rows.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::uint64_t none = row_selection::none;

/// A set of row numbers, with the number of members below each.
class row_set_bits {
 public:
  explicit row_set_bits(std::uint64_t row_count) : words_(row_count / 64 + 1, 0) {}

  void add(std::uint64_t row) { words_[row / 64] |= std::uint64_t{1} << (row % 64); }
  void count() {
    below_.resize(words_.size() / words_per_count + 1);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (i % words_per_count == 0) below_[i / words_per_count] = sum;
      sum += static_cast<std::uint64_t>(std::popcount(words_[i]));
    }
  }
  /// Returns the number of members below a row. Call count() first.
  std::uint64_t rank(std::uint64_t row) const {
    const std::size_t word = row / 64;
    std::uint64_t sum = below_[word / words_per_count];
    for (std::size_t i = word / words_per_count * words_per_count; i < word; ++i) {
      sum += static_cast<std::uint64_t>(std::popcount(words_[i]));
    }
    return sum + static_cast<std::uint64_t>(std::popcount(words_[word] & ((std::uint64_t{1} << (row % 64)) - 1)));
  }

 private:
  static constexpr std::size_t words_per_count = 8;
  std::vector<std::uint64_t> words_;
  std::vector<std::uint64_t> below_;
};

/// A user who is kept. Users of one partition ascend by first_row, and so do their positives on disk.
struct kept_user {
  std::uint64_t first_row;
  std::int32_t user;
  std::int32_t heldout;
  std::uint32_t positive_count;
};

class arranger {
 public:
  arranger(const row_spool& spool, std::size_t user_count, std::size_t item_count, const prepare_options& options,
           const std::filesystem::path& folder, const run_control& control, prepare_summary& summary)
      : spool_(spool),
        user_count_(user_count),
        item_count_(item_count),
        options_(options),
        folder_(folder),
        control_(control),
        summary_(summary),
        pool_(control.thread_count()),
        kept_(options.ties == tie_order::shuffled ? spool.row_count() : 0),
        first_row_of_item_(item_count, none) {}

  disk_arrangement run() {
    const bool needs_ranks = options_.ties == tie_order::shuffled;
    if (needs_ranks) {
      // Ties are ordered by the number of the row among all kept rows, which is known after a pass over all partitions.
      for_each_partition("selecting rows", [&](std::size_t p) { note_kept(load(p)); });
      kept_.count();
    }
    summary_.duplicates_dropped = summary_.users_dropped = summary_.rows_dropped = 0;
    for_each_partition("grouping rows", [&](std::size_t p) { hold_out(p, load(p)); });
    if (options_.duplicates == duplicate_policy::error && result_.repeat.row != none) return std::move(result_);
    merge();
    return std::move(result_);
  }

 private:
  struct partition {
    rating_columns columns;           // users are numbered within the partition
    std::vector<std::uint64_t> rows;  // numbers over all partitions
    row_selection selection;
    std::size_t user_count;
  };

  template <typename Body>
  void for_each_partition(const char* stage, const Body& body) {
    std::uint64_t done = 0;
    for (std::size_t p = 0; p < spool_.partition_count(); ++p) {
      control_.throw_if_stopped();
      control_.report({stage, "partitions", done++, spool_.partition_count()});
      body(p);
    }
  }

  /// Reads a partition and drops repeats and small users.
  partition load(std::size_t p) {
    partition part;
    const std::size_t step = spool_.partition_count();
    part.user_count = (user_count_ + step - 1 - p) / step;
    {
      const std::vector<spooled_row> rows = spool_.read(p);
      part.rows.reserve(rows.size());
      part.columns.users.reserve(rows.size());
      part.columns.items.reserve(rows.size());
      if (options_.table.order == row_order::time) part.columns.timestamps.reserve(rows.size());
      for (const spooled_row& row : rows) {
        part.rows.push_back(row.row);
        part.columns.users.push_back(static_cast<std::int32_t>(static_cast<std::size_t>(row.user) / step));
        part.columns.items.push_back(row.item);
        if (options_.table.order == row_order::time) part.columns.timestamps.push_back(row.time);
      }
    }
    const user_rows grouped = group_by_user(part.columns.users, part.user_count);
    part.selection = select_rows(part.columns, grouped, item_count_, options_, pool_);
    const row_selection& found = part.selection;
    if (found.first_repeat != none && part.rows[found.first_repeat] < result_.repeat.row) {
      const auto user = static_cast<std::size_t>(part.columns.users[found.first_repeat]) * step + p;
      result_.repeat = {part.rows[found.first_repeat], part.rows[found.repeated_row], static_cast<std::int32_t>(user),
                        part.columns.items[found.first_repeat]};
    }
    summary_.duplicates_dropped += found.duplicates_dropped;
    summary_.users_dropped += found.users_dropped;
    summary_.rows_dropped += found.rows_dropped;
    return part;
  }

  void note_kept(const partition& part) {
    for (std::size_t i = 0; i < part.rows.size(); ++i) {
      if (part.selection.kept[i] != 0) kept_.add(part.rows[i]);
    }
  }

  /// Writes the positives of a partition's users, with the numbers of items before renumbering.
  void hold_out(std::size_t p, partition part) {
    std::size_t end = 0;
    for (std::size_t i = 0; i < part.rows.size(); ++i) {
      if (part.selection.kept[i] != 0) part.rows[end++] = part.rows[i];
    }
    part.rows.resize(end);
    rating_columns& columns = part.columns;
    const renumbering order = keep_selected(columns, part.selection, part.user_count, item_count_);
    const std::size_t first_user = users_.size();
    for (std::size_t i = 0; i < end; ++i) {
      std::uint64_t& first = first_row_of_item_[old_item(order, columns.items[i])];
      first = std::min(first, part.rows[i]);
      const auto user = static_cast<std::size_t>(columns.users[i]);
      if (user < users_.size() - first_user) continue;  // users appear in the order of their new numbers
      const auto old = static_cast<std::size_t>(order.users[user]) * spool_.partition_count() + p;
      users_.push_back({part.rows[i], static_cast<std::int32_t>(old), 0, 0});
    }
    if (options_.ties == tie_order::shuffled) {
      for (const std::uint64_t row : part.rows) columns.ranks.push_back(kept_.rank(row));
    }
    dataset_arrays arrays;
    split_rows(columns, group_by_user(columns.users, order.users.size()), options_, nullptr, pool_, arrays);
    for (std::size_t u = 0; u < order.users.size(); ++u) {
      kept_user& user = users_[first_user + u];
      user.heldout = static_cast<std::int32_t>(old_item(order, arrays.heldout_items[u]));
      user.positive_count = static_cast<std::uint32_t>(arrays.user_offsets[u + 1] - arrays.user_offsets[u]);
    }
    for (std::int32_t& item : arrays.positive_items) item = static_cast<std::int32_t>(old_item(order, item));
    constexpr std::size_t buffered_items = 1 << 16;
    auto& positives = positives_.emplace_back(folder_, buffered_items);
    positives.add(arrays.positive_items);
    positives.finish();
    positive_count_ += arrays.positive_items.size();
  }

  static std::size_t old_item(const renumbering& order, std::int32_t item) {
    return static_cast<std::size_t>(order.items[static_cast<std::size_t>(item)]);
  }

  /// Numbers items by first appearance, and joins the positives of all partitions in the order of the users.
  void merge() {
    number_items();
    std::ranges::sort(users_, {}, &kept_user::first_row);
    dataset_arrays& arrays = result_.arrays;
    arrays.user_offsets = {0};
    for (const kept_user& user : users_) {
      arrays.user_offsets.push_back(arrays.user_offsets.back() + user.positive_count);
      arrays.heldout_items.push_back(number_of_item_[static_cast<std::size_t>(user.heldout)]);
      result_.order.users.push_back(user.user);
    }
    if (positive_count_ != 0) join_positives();
  }

  void number_items() {
    std::vector<std::int32_t>& items = result_.order.items;
    for (std::size_t item = 0; item < item_count_; ++item) {
      if (first_row_of_item_[item] != none) items.push_back(static_cast<std::int32_t>(item));
    }
    std::ranges::sort(items, {}, [&](std::int32_t item) { return first_row_of_item_[static_cast<std::size_t>(item)]; });
    number_of_item_.assign(item_count_, -1);
    for (std::size_t i = 0; i < items.size(); ++i) {
      number_of_item_[static_cast<std::size_t>(items[i])] = static_cast<std::int32_t>(i);
    }
  }

  void join_positives() {
    constexpr std::uint64_t block_items = std::uint64_t{4} << 20;
    const auto disk = std::make_shared<support::disk_bytes>(folder_, positive_count_ * sizeof(std::int32_t));
    const std::span out(reinterpret_cast<std::int32_t*>(disk->bytes().data()), positive_count_);
    const std::span offsets(result_.arrays.user_offsets);
    std::vector<std::uint64_t> read(positives_.size(), 0);
    for (std::size_t begin = 0; begin < users_.size();) {
      std::size_t end = begin;
      const std::int64_t first = offsets[begin];
      for (; end < users_.size() && (end == begin || offsets[end + 1] - first <= std::int64_t{block_items}); ++end) {
        const std::size_t p = static_cast<std::size_t>(users_[end].user) % positives_.size();
        const auto row = out.subspan(static_cast<std::size_t>(offsets[end]), users_[end].positive_count);
        positives_[p].read(read[p], row);
        read[p] += row.size();
      }
      pool_.for_each(end - begin, [&](std::uint64_t i) {
        const auto row = out.subspan(static_cast<std::size_t>(offsets[begin + i]), users_[begin + i].positive_count);
        for (std::int32_t& item : row) item = number_of_item_[static_cast<std::size_t>(item)];
        std::ranges::sort(row);
      });
      control_.throw_if_stopped();
      control_.report({"joining users", "positives", static_cast<std::uint64_t>(offsets[end]), positive_count_});
      disk->release_until(static_cast<std::uint64_t>(offsets[end]) * sizeof(std::int32_t));
      begin = end;
    }
    result_.arrays.positives_elsewhere = out;
    result_.arrays.owner = disk;
  }

  const row_spool& spool_;
  std::size_t user_count_;
  std::size_t item_count_;
  const prepare_options& options_;
  const std::filesystem::path& folder_;
  const run_control& control_;
  prepare_summary& summary_;
  support::thread_pool pool_;
  row_set_bits kept_;
  std::vector<std::uint64_t> first_row_of_item_;  // [item_count] among kept rows
  std::vector<std::int32_t> number_of_item_;      // [item_count] after renumbering
  std::vector<kept_user> users_;
  std::vector<disk_sequence<std::int32_t>> positives_;  // by partition
  std::uint64_t positive_count_ = 0;
  disk_arrangement result_;
};

}  // namespace

disk_arrangement arrange_on_disk(const row_spool& spool, std::size_t user_count, std::size_t item_count,
                                 const prepare_options& options, const std::filesystem::path& folder,
                                 const run_control& control, prepare_summary& summary) {
  return arranger(spool, user_count, item_count, options, folder, control, summary).run();
}

}  // namespace negpipe::ingest

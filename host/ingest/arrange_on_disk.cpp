#include "arrange_on_disk.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "disk_bytes.hpp"
#include "row_bits.hpp"
#include "thread_pool.hpp"
#include "unknown_rows.hpp"
#include "user_rows.hpp"

namespace negpipe::ingest {

namespace {

constexpr std::uint64_t none = row_selection::none;
constexpr std::size_t set_count = 3;

/// A user who is kept. Users of one partition ascend by first_row, and so do their items on disk.
struct kept_user {
  std::uint64_t first_row;
  std::int32_t user;
  std::array<std::uint32_t, set_count> counts;  // of items, by row_set
};

/// Reads a part of a sequence from its beginning.
class sequence_reader {
 public:
  sequence_reader(const disk_sequence<std::int32_t>& from, std::uint64_t begin, std::uint64_t end)
      : from_(&from), next_(begin), end_(end) {}

  void read(std::span<std::int32_t> out) {
    while (!out.empty()) {
      if (position_ == buffer_.size()) fill();
      const std::size_t count = std::min(out.size(), buffer_.size() - position_);
      std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(position_), count, out.begin());
      position_ += count;
      out = out.subspan(count);
    }
  }

 private:
  void fill() {
    constexpr std::uint64_t buffered = std::uint64_t{1} << 14;
    buffer_.resize(static_cast<std::size_t>(std::min(buffered, end_ - next_)));
    from_->read(next_, buffer_);
    next_ += buffer_.size();
    position_ = 0;
  }

  const disk_sequence<std::int32_t>* from_;
  std::uint64_t next_;
  std::uint64_t end_;
  std::vector<std::int32_t> buffer_;
  std::size_t position_ = 0;
};

class arranger {
 public:
  arranger(const ratings& read, row_spool& spool, const prepare_options& options, const common_split* split,
           const run_control& control, prepare_summary& summary)
      : read_(read),
        spool_(spool),
        options_(options),
        split_(split),
        control_(control),
        summary_(summary),
        pool_(control.thread_count()),
        user_count_(static_cast<std::size_t>(read.user_ids.size())),
        item_count_(static_cast<std::size_t>(read.item_ids.size())),
        first_row_of_item_(item_count_, none),
        sets_(spool.folder(), 0) {}

  arrangement run() {
    const bool filters_items = options_.min_item_ratings > 1;
    const bool drops_unknown = split_ != nullptr && options_.unknown != unknown_policy::keep;
    const bool shuffles = options_.ties == tie_order::shuffled;
    if (filters_items || drops_unknown || shuffles) select(filters_items, drops_unknown);
    // Ties are ordered by the number of the row among all kept rows.
    if (shuffles) kept_.count();
    for_each_partition("grouping rows", [&](std::size_t p) { group(p, load(p)); });
    if (!is_selected_) refuse_any_repeat();
    merge();
    return std::move(result_);
  }

 private:
  struct partition : spooled_rows {
    row_selection selection;
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

  unknown_rows::numbering numbering_of(const partition& part, std::size_t p) const {
    return {part.rows, p, spool_.partition_count()};
  }

  /// Reads a partition with the rows that are kept. Drops repeats and small users, unless that is done already.
  partition load(std::size_t p) {
    partition part{spool_.read(p, user_count_), {}};
    if (split_ != nullptr) split_->assign(part.columns, part.rows);
    row_selection& selection = part.selection;
    if (is_selected_) {
      selection.kept.resize(part.rows.size());
      std::ranges::transform(part.rows, selection.kept.begin(), [&](std::uint64_t row) { return kept_.contains(row); });
      return part;
    }
    selection = select_rows(part.columns, group_by_user(part.columns.users, part.user_count), item_count_, options_,
                            pool_);
    summary_.duplicates_dropped += selection.duplicates_dropped;
    add_drops(selection);
    if (const std::uint64_t i = selection.first_repeat; i != none && part.rows[i] < repeat_.row) {
      const auto user = static_cast<std::size_t>(part.columns.users[i]);
      repeat_ = {part.rows[i], part.rows[selection.repeated_row], numbering_of(part, p).user(user),
                 part.columns.items[i]};
    }
    return part;
  }

  void add_drops(const row_selection& selection) {
    summary_.users_dropped += selection.users_dropped;
    summary_.items_dropped += selection.items_dropped;
    summary_.rows_dropped += selection.rows_dropped;
  }

  void refuse_any_repeat() const {
    if (options_.duplicates == duplicate_policy::error && repeat_.row != none) refuse_repeat(read_, repeat_);
  }

  /// Selects rows in passes over all partitions, where one depends on others.
  void select(bool filters_items, bool drops_unknown) {
    item_filter filter(item_count_, options_);
    kept_ = row_bits(spool_.row_count());
    for_each_partition("selecting rows", [&](std::size_t p) {
      const partition part = load(p);
      note_kept(part);
      if (filters_items) filter.count(part.columns, part.selection.kept);
    });
    refuse_any_repeat();
    is_selected_ = true;
    if (filters_items) filter_items(filter);
    if (drops_unknown) drop_unknown();
  }

  void note_kept(const partition& part) {
    for (std::size_t i = 0; i < part.rows.size(); ++i) {
      if (part.selection.kept[i] == 0) kept_.remove(part.rows[i]);
    }
  }

  void filter_items(item_filter& filter) {
    do {
      filter.begin_round();
      for_each_partition("filtering items", [&](std::size_t p) {
        partition part = load(p);
        filter.drop(part.columns, part.user_count, part.selection);
        add_drops(part.selection);
        note_kept(part);
      });
    } while (filter.is_unsettled());
  }

  void drop_unknown() {
    unknown_rows unknown(item_count_, options_.unknown);
    for_each_partition("finding training rows", [&](std::size_t p) {
      const partition part = load(p);
      unknown.note_training(part.columns, part.selection.kept);
    });
    for_each_partition("dropping unknown rows", [&](std::size_t p) {
      partition part = load(p);
      unknown.drop(part.columns, part.user_count, numbering_of(part, p), part.selection.kept);
      note_kept(part);
    });
    unknown.finish(read_, summary_);
  }

  /// Writes the sets of a partition's users, with the numbers of items before renumbering.
  void group(std::size_t p, partition part) {
    spool_.release(p);
    rating_columns& columns = part.columns;
    const renumbering order = keep_selected(columns, part.selection, part.user_count, item_count_);
    std::erase_if(part.rows, [&, i = std::size_t{0}](std::uint64_t) mutable { return part.selection.kept[i++] == 0; });
    const std::size_t first_user = users_.size();
    for (std::size_t i = 0; i < part.rows.size(); ++i) {
      std::uint64_t& first = first_row_of_item_[old_item(order, columns.items[i])];
      first = std::min(first, part.rows[i]);
      const auto user = static_cast<std::size_t>(columns.users[i]);
      if (user < users_.size() - first_user) continue;  // users appear in the order of their new numbers
      users_.push_back({part.rows[i], numbering_of(part, p).user(static_cast<std::size_t>(order.users[user])), {}});
    }
    if (options_.ties == tie_order::shuffled) {
      for (const std::uint64_t row : part.rows) columns.ranks.push_back(kept_.rank(row));
    }
    dataset_arrays arrays;
    split_rows(columns, group_by_user(columns.users, order.users.size()), options_, split_, pool_, arrays);
    has_validation_ = !arrays.validation_offsets.empty();
    write_sets(arrays, order, std::span(users_).subspan(first_user));
  }

  static std::size_t old_item(const renumbering& order, std::int32_t item) {
    return static_cast<std::size_t>(order.items[static_cast<std::size_t>(item)]);
  }

  void write_sets(dataset_arrays& arrays, const renumbering& order, std::span<kept_user> users) {
    const auto write = [&](row_set set, const std::vector<std::int64_t>& offsets, std::vector<std::int32_t>& items) {
      const auto s = static_cast<std::size_t>(set);
      for (std::size_t u = 0; u < users.size(); ++u) {
        users[u].counts[s] = offsets.empty() ? 1 : static_cast<std::uint32_t>(offsets[u + 1] - offsets[u]);
      }
      for (std::int32_t& item : items) item = static_cast<std::int32_t>(old_item(order, item));
      const std::uint64_t begin = sets_.size();
      sets_.add(std::span<const std::int32_t>(items));
      parts_[s].emplace_back(sets_, begin, sets_.size());
    };
    write(row_set::training, arrays.user_offsets, arrays.positive_items);
    write(row_set::test, arrays.test_offsets, arrays.heldout_items);
    if (has_validation_) write(row_set::validation, arrays.validation_offsets, arrays.validation_items);
  }

  /// Numbers items by first appearance, and joins the sets of all partitions in the order of the users.
  void merge() {
    number_items();
    std::ranges::sort(users_, {}, &kept_user::first_row);
    for (const kept_user& user : users_) result_.order.users.push_back(user.user);
    dataset_arrays& arrays = result_.arrays;
    join_positives();
    arrays.test_offsets = offsets_of(row_set::test);
    arrays.heldout_items.resize(static_cast<std::size_t>(arrays.test_offsets.back()));
    join("joining test items", row_set::test, arrays.test_offsets, arrays.heldout_items);
    if (split_ == nullptr && options_.split.kind == split_kind::leave_one_out) arrays.test_offsets = {};
    if (!has_validation_) return;
    arrays.validation_offsets = offsets_of(row_set::validation);
    arrays.validation_items.resize(static_cast<std::size_t>(arrays.validation_offsets.back()));
    join("joining validation items", row_set::validation, arrays.validation_offsets, arrays.validation_items);
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

  std::vector<std::int64_t> offsets_of(row_set set) const {
    std::vector<std::int64_t> offsets{0};
    offsets.reserve(users_.size() + 1);
    for (const kept_user& user : users_) offsets.push_back(offsets.back() + user.counts[static_cast<std::size_t>(set)]);
    return offsets;
  }

  void join_positives() {
    dataset_arrays& arrays = result_.arrays;
    arrays.user_offsets = offsets_of(row_set::training);
    const auto count = static_cast<std::uint64_t>(arrays.user_offsets.back());
    if (count == 0) return;
    const auto disk = std::make_shared<support::disk_bytes>(spool_.folder(), count * sizeof(std::int32_t));
    const std::span out(reinterpret_cast<std::int32_t*>(disk->bytes().data()), count);
    join("joining positives", row_set::training, arrays.user_offsets, out,
         [&](std::uint64_t done) { disk->release_until(done * sizeof(std::int32_t)); });
    arrays.positives_elsewhere = out;
    arrays.owner = disk;
  }

  /// Fills the items of a set. written: called with the number of items that are complete.
  void join(const char* stage, row_set set, std::span<const std::int64_t> offsets, std::span<std::int32_t> out,
            const std::function<void(std::uint64_t)>& written = [](std::uint64_t) {}) {
    constexpr std::int64_t block_items = std::int64_t{4} << 20;
    std::vector<sequence_reader>& parts = parts_[static_cast<std::size_t>(set)];
    const auto row_of = [&](std::size_t user) {
      return out.subspan(static_cast<std::size_t>(offsets[user]),
                         static_cast<std::size_t>(offsets[user + 1] - offsets[user]));
    };
    for (std::size_t begin = 0; begin < users_.size();) {
      std::size_t end = begin;
      for (; end < users_.size() && (end == begin || offsets[end + 1] - offsets[begin] <= block_items); ++end) {
        parts[static_cast<std::size_t>(users_[end].user) % parts.size()].read(row_of(end));
      }
      renumber_and_sort(begin, end, row_of);
      const auto done = static_cast<std::uint64_t>(offsets[end]);
      control_.throw_if_stopped();
      control_.report({stage, "items", done, out.size()});
      written(done);
      begin = end;
    }
    parts = {};
  }

  template <typename Row>
  void renumber_and_sort(std::size_t begin, std::size_t end, const Row& row_of) {
    constexpr std::size_t users_a_task = 256;
    pool_.for_each((end - begin + users_a_task - 1) / users_a_task, [&](std::uint64_t task) {
      const std::size_t first = begin + static_cast<std::size_t>(task) * users_a_task;
      for (std::size_t user = first; user < std::min(end, first + users_a_task); ++user) {
        const auto row = row_of(user);
        for (std::int32_t& item : row) item = number_of_item_[static_cast<std::size_t>(item)];
        std::ranges::sort(row);
      }
    });
  }

  const ratings& read_;
  row_spool& spool_;
  const prepare_options& options_;
  const common_split* split_;
  const run_control& control_;
  prepare_summary& summary_;
  support::thread_pool pool_;
  std::size_t user_count_;
  std::size_t item_count_;
  row_bits kept_;  // after select(): the rows that are kept
  bool is_selected_ = false;
  repeated_pair repeat_;                          // the first one
  std::vector<std::uint64_t> first_row_of_item_;  // [item_count] among kept rows
  std::vector<std::int32_t> number_of_item_;      // [item_count] after renumbering
  std::vector<kept_user> users_;
  disk_sequence<std::int32_t> sets_;                              // of all partitions
  std::array<std::vector<sequence_reader>, set_count> parts_;     // of sets_, by row_set and partition
  bool has_validation_ = false;
  arrangement result_;
};

}  // namespace

arrangement arrange_on_disk(const ratings& read, row_spool& spool, const prepare_options& options,
                            const common_split* split, const run_control& control, prepare_summary& summary) {
  return arranger(read, spool, options, split, control, summary).run();
}

}  // namespace negpipe::ingest

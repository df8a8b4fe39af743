#include "verify_columns.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <utility>
#include <vector>

#include "column_comparison.hpp"
#include "negpipe/core/philox.hpp"
#include "padding_negatives.hpp"

namespace negpipe::pipeline {

namespace {

class training_check final : public column_check {
 public:
  training_check(const sampler& source, std::uint32_t cycle, const core::positives_view& positives)
      : source_(source),
        plan_(source.plan()),
        cycle_(cycle),
        view_(positives),
        block_points_(std::min(plan_.batch_size, block_points_for(source))) {}

  bool agrees(std::uint64_t batch, const record_columns& columns) override {
    std::unique_ptr<training_batch> lent = blocks_.take(
        [&] { return training_batch(block_points_, source_.item_width(), plan_.pad == padding_policy::mask); });
    const std::uint64_t first = plan_.first_position(batch);
    const std::uint64_t own = std::min(plan_.batch_size, plan_.point_count - std::min(first, plan_.point_count));
    bool is_sound = batch != 0 || plan_.pad != padding_policy::resample || collect_padding(columns, own);
    sums found;
    for (std::uint64_t begin = 0; begin < plan_.batch_size && is_sound; begin += block_points_) {
      const std::uint64_t count = std::min(block_points_, plan_.batch_size - begin);
      source_.fill_points(cycle_, first + begin, count, lent->columns());
      is_sound = equals(columns, begin, count, *lent) &&
                 add(*lent, std::min(count, own - std::min(own, begin)), found);
    }
    blocks_.give_back(std::move(lent));
    positives_.fetch_add(found.positives);
    negatives_.fetch_add(found.negatives);
    return is_sound;
  }

  bool concludes() const override {
    sums wanted;
    for (std::int32_t user = 0; user < view_.user_count; ++user) {
      const core::item_row row = view_.csr.row(user_id{user});
      for (std::uint32_t i = 0; i < row.count; ++i) wanted.positives += mix(pair_key(user, row.items[i]));
      wanted.negatives += mix(static_cast<std::uint64_t>(user)) * row.count;
    }
    wanted.positives *= plan_.epochs;
    wanted.negatives *= std::uint64_t{plan_.epochs} * plan_.negatives;
    const sums dropped = dropped_points();
    if (positives_.load() + dropped.positives != wanted.positives) return false;
    if (negatives_.load() + dropped.negatives != wanted.negatives) return false;
    bool all_seen = true;
    padding_.for_each_missing([&](std::uint64_t) { all_seen = false; });
    return all_seen;
  }

 private:
  /// A block's membership words are still in the second-level cache when its labels are checked.
  static constexpr std::uint64_t cached_points = 4096;
  /// Large enough for several threads or a device.
  static constexpr std::uint64_t shared_points = 1 << 20;
  static std::uint64_t block_points_for(const sampler& source) {
    return source.threads() == 1 && source.device().starts_with("cpu") ? cached_points : shared_points;
  }

  /// Sums of hashes modulo 2^64: of positives by user and item, of negatives by user.
  struct sums {
    std::uint64_t positives = 0;
    std::uint64_t negatives = 0;
  };

  bool equals(const record_columns& columns, std::uint64_t begin, std::uint64_t count,
              const training_batch& wanted) const {
    const std::uint64_t width = item_bytes(columns.item_width);
    return equal(columns.users.subspan(4 * begin, 4 * count), wanted.users().first(count)) &&
           equal(columns.items.subspan(width * begin, width * count), wanted.items().first(count)) &&
           equal(columns.flags.subspan(begin, count), wanted.labels().first(count)) &&
           (wanted.valid().empty() || equal(columns.valid.subspan(begin, count), wanted.valid().first(count)));
  }

  /// Adds the first `own` points, which are not padding. Returns false if a label is wrong.
  bool add(const training_batch& made, std::uint64_t own, sums& found) {
    bool is_sound = true;
    with_items(made.items(), [&](auto items) { is_sound = add(made.users(), items, made.labels(), own, found); });
    return is_sound;
  }

  template <typename Item>
  bool add(std::span<const std::int32_t> users, std::span<const Item> items, std::span<const std::int8_t> labels,
           std::uint64_t own, sums& total) {
    sums found;
    bool is_wrong = false;
    for (std::uint64_t i = 0; i < own; ++i) {
      if (!is_in_range(users[i], items[i])) return false;
      const std::uint64_t key = pair_key(users[i], items[i]);
      if (labels[i] == 1) {
        found.positives += mix(key);  // concludes() compares the sum, so membership need not be checked here
      } else {
        is_wrong |= labels[i] != 0 || view_.contains(user_id{users[i]}, items[i]);
        found.negatives += mix(static_cast<std::uint32_t>(users[i]));
        padding_.see(key);
      }
    }
    total.positives += found.positives;
    total.negatives += found.negatives;
    return !is_wrong;
  }

  bool is_in_range(std::int32_t user, std::int32_t item) const {
    return user >= 0 && user < view_.user_count && item >= 0 && item < view_.item_count;
  }

  /// Reads the keys of resampled padding, which is at the end of record 0. Returns false if a value is wrong.
  bool collect_padding(const record_columns& columns, std::uint64_t own) {
    std::vector<std::uint64_t> keys;
    for (std::uint64_t i = own; i < plan_.batch_size; ++i) {
      const std::int32_t user = columns.user(i);
      const std::int32_t item = columns.item(i);
      if (!is_in_range(user, item) || view_.contains(user_id{user}, item) != (columns.flag(i) == 1)) return false;
      if (columns.flag(i) == 0) keys.push_back(pair_key(user, item));
    }
    padding_.collect(std::move(keys));
    return true;
  }

  /// Returns the sums of the points that padding_policy::drop leaves out, fewer than a batch.
  sums dropped_points() const {
    sums found;
    if (plan_.padded_count() >= plan_.point_count) return found;
    const core::cycle_key key = make_cycle_key(plan_, cycle_);
    for (std::uint64_t i = plan_.padded_count(); i < plan_.point_count; ++i) {
      const core::point made = core::point_at(plan_, key, view_, i, core::philox_source{plan_.seed});
      const std::int32_t user = index(made.user);
      if (made.label == 1) {
        found.positives += mix(pair_key(user, index(made.item)));
      } else {
        found.negatives += mix(static_cast<std::uint32_t>(user));
      }
    }
    return found;
  }

  sampler source_;
  training_plan plan_;
  std::uint32_t cycle_;
  core::positives_view view_;
  std::atomic<std::uint64_t> positives_{0};
  std::atomic<std::uint64_t> negatives_{0};
  padding_negatives padding_;
  std::uint64_t block_points_;
  object_pool<training_batch> blocks_;
};

/// Set of the items of one row, as a bitset.
class row_items {
 public:
  explicit row_items(std::int32_t item_count) : words_(static_cast<std::size_t>(item_count) / 64 + 1) {}

  bool contains(std::int32_t item) const { return (words_[word(item)] >> bit(item) & 1) != 0; }
  void add(std::int32_t item) { words_[word(item)] |= std::uint64_t{1} << bit(item); }
  void remove_word_of(std::int32_t item) { words_[word(item)] = 0; }

 private:
  static std::size_t word(std::int32_t item) { return static_cast<std::uint32_t>(item) / 64; }
  static unsigned bit(std::int32_t item) { return static_cast<std::uint32_t>(item) % 64; }

  std::vector<std::uint64_t> words_;
};

class evaluation_check final : public column_check {
 public:
  evaluation_check(const sampler& source, const core::positives_view& positives)
      : source_(source), plan_(source.evaluation_plan()), view_(positives) {}

  bool agrees(std::uint64_t batch, const record_columns& columns) override {
    std::unique_ptr<work> lent = work_.take([&] {
      return work{source_.make_evaluation_batch(), row_items(view_.item_count)};
    });
    source_.fill_evaluation(batch, lent->wanted);
    const evaluation_batch& wanted = lent->wanted;
    bool is_sound = equal(columns.users, wanted.users()) && equal(columns.items, wanted.items()) &&
                    equal(columns.flags, wanted.duplicate_mask());
    if (is_sound) {
      with_items(wanted.items(), [&](auto items) {
        const std::uint64_t length = plan_.row_length();
        const std::uint64_t rows = plan_.batch_size / length;
        for (std::uint64_t r = 0; r < rows && is_sound; ++r) {
          is_sound = is_valid_row(batch * rows + r, wanted.users().subspan(r * length, length),
                                    items.subspan(r * length, length),
                                    wanted.duplicate_mask().subspan(r * length, length), lent->marked);
        }
      });
    }
    work_.give_back(std::move(lent));
    return is_sound;
  }

  // Each user has a fixed row, so every check concerns a single record.
  bool concludes() const override { return true; }

 private:
  struct work {
    evaluation_batch wanted;
    row_items marked;
  };

  /// marked is empty before and after.
  template <typename Item>
  bool is_valid_row(std::uint64_t row, std::span<const std::int32_t> users, std::span<const Item> items,
                      std::span<const std::int8_t> mask, row_items& marked) const {
    const bool is_padding = !core::is_evaluated(plan_, view_, row);
    const std::int32_t user = is_padding ? 0 : static_cast<std::int32_t>(row);
    bool is_wrong = std::ranges::any_of(
        items, [&](std::int32_t item) { return item < 0 || item >= view_.item_count; });
    if (is_wrong) return false;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool is_repeat = marked.contains(items[i]);
      is_wrong |= users[i] != user || (mask[i] == 1) != is_repeat || (is_padding && items[i] != 0);
      is_wrong |= is_repeat && !is_padding && !plan_.with_replacement && !plan_.fewer;
      marked.add(items[i]);
    }
    if (!is_padding) {
      is_wrong |= items[0] != view_.heldout[user];
      const core::item_row positives = view_.csr.row(user_id{user});
      for (std::uint32_t k = 0; k < positives.count; ++k) is_wrong |= marked.contains(positives.items[k]);
    }
    for (const Item item : items) marked.remove_word_of(item);
    return !is_wrong;
  }

  sampler source_;
  evaluation_plan plan_;
  core::positives_view view_;
  object_pool<work> work_;
};

}  // namespace

std::unique_ptr<column_check> make_training_column_check(const sampler& source, std::uint32_t cycle,
                                                         const core::positives_view& positives) {
  return std::make_unique<training_check>(source, cycle, positives);
}

std::unique_ptr<column_check> make_evaluation_column_check(const sampler& source,
                                                           const core::positives_view& positives) {
  return std::make_unique<evaluation_check>(source, positives);
}

}  // namespace negpipe::pipeline

// Positives and plans built from core types only, so that tests of core depend on nothing else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/training.hpp"
#include "support/random_rows.hpp"

namespace negpipe::test {

/// Owns the arrays behind a positives_view.
class positives_owner {
 public:
  /// rows[u]: user u's training positives in any order; heldout[u] is not among them.
  positives_owner(std::vector<std::vector<std::int32_t>> rows, std::vector<std::int32_t> heldout,
                  std::int32_t item_count)
      : heldout_(std::move(heldout)), item_count_(item_count) {
    words_per_row_ = core::bitset_view::row_words(static_cast<std::uint32_t>(item_count));
    bits_.assign(rows.size() * words_per_row_, 0);
    for (std::size_t user = 0; user < rows.size(); ++user) {
      std::sort(rows[user].begin(), rows[user].end());
      for (const std::int32_t item : rows[user]) {
        items_.push_back(item);
        users_.push_back(static_cast<std::int32_t>(user));
        const auto i = static_cast<std::uint32_t>(item);
        bits_[user * words_per_row_ + i / 32] |= 1U << (i % 32);
      }
      offsets_.push_back(static_cast<std::int64_t>(items_.size()));
    }
    filter_.assign(core::bloom_filter_view::words_for(items_.size()), 0);
    for (std::size_t p = 0; p < items_.size(); ++p) {
      const auto at = core::bloom_filter_view::slot_of(user_id{users_[p]}, items_[p],
                                                       static_cast<std::uint32_t>(filter_.size()));
      filter_[at.word] |= at.mask();
    }
    constexpr std::size_t step = std::size_t{1} << core::csr_view::sample_shift;
    for (std::size_t p = 0; p < items_.size(); p += step) samples_.push_back(users_[p]);
    samples_.push_back(static_cast<std::int32_t>(rows.size()) - 1);
  }

  core::positives_view view(core::membership form = core::membership::bitset) const {
    return {.csr = {offsets_.data(), items_.data(), samples_.data()},
            .bitset = {form == core::membership::bitset ? bits_.data() : nullptr, words_per_row_},
            .filter = {form == core::membership::bloom_filter ? filter_.data() : nullptr,
                       static_cast<std::uint32_t>(filter_.size())},
            .heldout = heldout_.data(),
            .user_count = static_cast<std::int32_t>(heldout_.size()),
            .item_count = item_count_,
            .form = form};
  }

  std::uint64_t positive_count() const { return items_.size(); }
  /// Returns the user of each positive, without a search.
  const std::vector<std::int32_t>& users() const { return users_; }
  const std::vector<std::int32_t>& samples() const { return samples_; }

 private:
  std::vector<std::int64_t> offsets_{0};
  std::vector<std::int32_t> items_;
  std::vector<std::int32_t> users_;
  std::vector<std::int32_t> samples_;
  std::vector<std::uint32_t> bits_;
  std::vector<std::uint32_t> filter_;
  std::vector<std::int32_t> heldout_;
  std::int32_t item_count_;
  std::uint32_t words_per_row_;
};

/// Makes one user per degree, with that many random positives and one more item held out.
inline positives_owner random_positives(const std::vector<std::int32_t>& degrees, std::int32_t item_count,
                                        unsigned seed) {
  random_rows drawn(degrees, item_count, seed);
  return {std::move(drawn.rows), std::move(drawn.heldout), item_count};
}

/// Returns degrees at the edges: none, one, some, most, all but two, all but one; empty users first, last and in runs.
inline std::vector<std::int32_t> edge_degrees(std::int32_t item_count) {
  return {0, 0, 1, 20, 0, 0, 0, item_count / 3, 1, item_count / 2, item_count - 2, 0, item_count - 1, 5, 0, 0};
}

struct plan_options {
  std::uint64_t seed = 42;
  std::uint32_t negatives = 4;
  std::uint32_t epochs = 1;
  std::uint64_t batch_size = 64;
  core::padding pad = core::padding::resample;
  core::batch_layout layout = core::batch_layout::pointwise;
};

inline core::training_plan make_training_plan(const positives_owner& data, const plan_options& options) {
  const bool pairwise = options.layout == core::batch_layout::pairwise;
  const std::uint64_t points = data.positive_count() * (pairwise ? 1 : options.negatives + 1ULL) * options.epochs;
  return {.seed = options.seed,
          .positive_count = data.positive_count(),
          .negatives = options.negatives,
          .epochs = options.epochs,
          .point_count = points,
          .batch_size = options.batch_size,
          .batch_count = options.pad == core::padding::drop ? points / options.batch_size
                                                            : core::ceil_div(points, options.batch_size),
          .pad = options.pad,
          .by_positives = core::divider64::make(data.positive_count()),
          .item_draw = core::bounded32::make(static_cast<std::uint32_t>(data.view().item_count)),
          .padding_draw = core::bounded64::make(points),
          .layout = options.layout};
}

inline core::evaluation_plan make_evaluation_plan(const positives_owner& data, std::uint32_t negatives,
                                                  bool with_replacement, std::uint64_t seed) {
  const auto users = static_cast<std::uint64_t>(data.view().user_count);
  return {.seed = seed,
          .negatives = negatives,
          .with_replacement = with_replacement,
          .user_count = users,
          .batch_size = negatives + 1ULL,
          .batch_count = users,
          .item_draw = core::bounded32::make(static_cast<std::uint32_t>(data.view().item_count))};
}

}  // namespace negpipe::test

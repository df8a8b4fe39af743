// Integer weights of items: how often each is drawn as a negative, beside the others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/core/weights.hpp"
#include "negpipe/dataset.hpp"

namespace negpipe {

/// Weights of all items with their sums and alias table. Immutable, thread-safe; copies share. By default uniform.
class item_weights {
 public:
  /// Uniform: all items alike, without tables.
  item_weights() = default;
  /// weights: one per item, 0 for items that are never drawn; their sum is 1 to 2^32 - 1. At most 2^30 - 1 items.
  /// Throws option_error.
  explicit item_weights(std::vector<std::uint32_t> weights);

  bool is_uniform() const { return tables_ == nullptr; }
  std::span<const std::uint32_t> values() const;  ///< [item_count]; empty if uniform
  std::uint32_t sum() const;                      ///< of all values; 0 if uniform
  /// Returns the number of items of positive weight; 0 if uniform.
  std::uint32_t positive_count() const;
  /// Returns how the weights came about: "uniform", "popularity", or "weights" for a caller's own.
  std::string_view distribution() const;
  double alpha() const;                           ///< of popularity_weights; else 0
  /// Returns the MD5 of the values as little-endian uint32, hexadecimal; empty if uniform.
  const std::string& digest() const;

  friend item_weights popularity_weights(std::span<const std::uint64_t> popularities, double alpha);

  // Tables for core::weighted_draw; empty if uniform.
  std::span<const core::alias_column> columns() const;
  std::span<const std::uint32_t> sums() const;    ///< [item_count + 1]: weights of the items below each
  std::uint32_t shift() const;

 private:
  struct tables;
  item_weights(std::vector<std::uint32_t> weights, double alpha);

  std::shared_ptr<const tables> tables_;
};

/// The largest exponent of popularity_weights.
inline constexpr double max_alpha = 16;

/// Returns weights in proportion to popularity^alpha, where an item's popularity is the number of users that have it
/// among their training positives. An item of popularity 0 has weight 0 if alpha > 0.
/// - alpha: 0 to 16. 0 and 1 give the exact numbers 1 and popularity; others are scaled so that the sum is just below
///   2^32, and rounded, at least 1.
/// - The same on every machine: only correctly rounded operations (multiplication, square root, division), in a fixed
///   order. popularity^alpha is the product of repeated square roots that the binary digits of alpha name.
/// - Throws option_error for an alpha out of range, or popularities whose sum exceeds 2^32 - 1 with alpha 1.
item_weights popularity_weights(const dataset& data, double alpha);
/// The same for popularities [item_count], such as those that sharded_dataset::count_items() returns.
item_weights popularity_weights(std::span<const std::uint64_t> popularities, double alpha);

/// Reads weights from an .npy file: one dimension, 32-bit or 64-bit integers. Throws format_error, io_error, and
/// option_error as item_weights does.
item_weights load_weights(const std::filesystem::path& path);

/// Weights of one dataset: what core::weighted_draw reads. Owns the sums of each user's row. Copies share.
class dataset_weights {
 public:
  /// Uniform.
  dataset_weights() = default;
  /// Throws option_error if the number of weights is not the number of items; infeasible_error, naming users, if some
  /// user has no negative: all items outside the training positives weigh 0, or there are none.
  dataset_weights(const dataset& data, const item_weights& weights);
  /// The same, but users may have no negative: plan_evaluation refuses or skips them.
  static dataset_weights for_evaluation(const dataset& data, const item_weights& weights);

  const item_weights& items() const { return weights_; }
  /// Returns the draw, valid while a copy of this object lives; null if uniform.
  const core::weighted_draw* draw() const { return weights_.is_uniform() ? nullptr : &draw_; }
  std::uint64_t memory_bytes() const;

 private:
  item_weights weights_;
  std::shared_ptr<const std::vector<std::uint32_t>> row_sums_;
  core::weighted_draw draw_{};
};

/// Natural logarithms from which log_q is made: that of an item drawn for a user is float(items[item] - users[user]).
struct draw_logs {
  std::vector<double> items;  ///< [item_count]: of each weight; empty if uniform, which stands for zeros
  /// [user_count + 1]: of the weight of all items outside the user's positives. The last is that of all items.
  std::vector<double> users;
};

/// weights: of the dataset.
draw_logs make_draw_logs(const dataset& data, const dataset_weights& weights);

}  // namespace negpipe

#include "negpipe/item_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "digest.hpp"
#include "negpipe/core/arith.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

namespace {

constexpr std::size_t max_weighted_items = (std::size_t{1} << 30) - 1;
constexpr std::uint64_t all_words = 1ULL << 32;
constexpr std::size_t max_named_users = 5;

std::uint64_t checked_sum(const std::vector<std::uint32_t>& weights) {
  if (weights.empty() || weights.size() > max_weighted_items) {
    throw option_error("weights",
                       fmt::format("{} weights given; expected 1 to {}", weights.size(), max_weighted_items));
  }
  std::uint64_t sum = 0;
  for (const std::uint32_t weight : weights) sum += weight;
  if (sum == 0) throw option_error("weights", "all weights are 0; expected at least one positive weight");
  if (sum >= all_words) {
    throw option_error("weights", fmt::format("the sum of the weights is {}; expected at most {}. Divide them by {}",
                                              sum, all_words - 1, core::ceil_div(sum, all_words - 1)));
  }
  return sum;
}

std::string digest_of(std::span<const std::uint32_t> weights) {
  support::md5 digest;
  std::vector<std::byte> bytes;
  bytes.reserve(weights.size() * 4);
  for (const std::uint32_t weight : weights) {
    for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::byte>(weight >> shift & 0xFF));
  }
  digest.update(bytes);
  return digest.hex();
}

/// Shares the 2^32 words out to the items and, as number item_count, to rejection (Vose, "A linear algorithm for
/// generating random numbers with a given distribution", 1991). Part of the stream: the order of the columns is fixed.
std::vector<core::alias_column> make_columns(const std::vector<std::uint32_t>& weights, std::uint64_t sum,
                                             std::uint32_t shift) {
  const std::uint64_t width = 1ULL << shift;
  const std::uint64_t words_per_unit = all_words / sum;
  std::vector<std::uint64_t> left(all_words >> shift, 0);  // words that are still to be placed, by item
  std::transform(weights.begin(), weights.end(), left.begin(),
                 [&](std::uint32_t weight) { return weight * words_per_unit; });
  left[weights.size()] = all_words - words_per_unit * sum;
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::uint32_t i = 0; i < left.size(); ++i) (left[i] < width ? small : large).push_back(i);
  std::vector<core::alias_column> columns(left.size());
  const auto first_word = [&](std::uint32_t column) { return column << shift; };
  while (!small.empty()) {
    // Words and columns are equally many, so a small item always has a large one to fill its column.
    const std::uint32_t item = small.back();
    const std::uint32_t filler = large.back();
    small.pop_back();
    columns[item] = {first_word(item) + static_cast<std::uint32_t>(left[item]), filler};
    left[filler] -= width - left[item];
    if (left[filler] < width) {
      large.pop_back();
      small.push_back(filler);
    }
  }
  for (const std::uint32_t item : large) columns[item] = {first_word(item), item};  // exactly full
  return columns;
}

/// Returns popularity^alpha, rounded.
double power(double popularity, double alpha) {
  double result = 1;
  for (double whole = std::floor(alpha); whole > 0; --whole) result *= popularity;
  double root = popularity;
  for (double rest = alpha - std::floor(alpha); rest > 0;) {
    rest *= 2;
    root = std::sqrt(root);
    if (rest >= 1) {
      result *= root;
      rest -= 1;
    }
  }
  return result;
}

std::vector<std::uint64_t> popularities(const dataset& data) {
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(data.item_count()), 0);
  for (const std::int32_t item : data.positive_items()) ++counts[static_cast<std::size_t>(item)];
  return counts;
}

}  // namespace

struct item_weights::tables {
  std::vector<std::uint32_t> values;
  std::vector<std::uint32_t> sums;
  std::vector<core::alias_column> columns;
  std::uint32_t positive_count;
  std::uint32_t shift;
  std::string digest;
  double alpha = -1;  // negative: a caller's own weights
};

item_weights::item_weights(std::vector<std::uint32_t> weights) : item_weights(std::move(weights), -1) {}

item_weights::item_weights(std::vector<std::uint32_t> weights, double alpha) {
  const std::uint64_t sum = checked_sum(weights);
  auto made = std::make_shared<tables>();
  made->shift = 32 - core::bit_width(weights.size());  // more columns than items
  made->columns = make_columns(weights, sum, made->shift);
  made->sums.reserve(weights.size() + 1);
  made->sums.push_back(0);
  for (const std::uint32_t weight : weights) made->sums.push_back(made->sums.back() + weight);
  made->positive_count =
      static_cast<std::uint32_t>(std::ranges::count_if(weights, [](std::uint32_t weight) { return weight != 0; }));
  made->digest = digest_of(weights);
  made->values = std::move(weights);
  made->alpha = alpha;
  tables_ = std::move(made);
}

std::span<const std::uint32_t> item_weights::values() const {
  return is_uniform() ? std::span<const std::uint32_t>{} : tables_->values;
}
std::uint32_t item_weights::sum() const { return is_uniform() ? 0 : tables_->sums.back(); }
std::uint32_t item_weights::positive_count() const { return is_uniform() ? 0 : tables_->positive_count; }

std::string_view item_weights::distribution() const {
  return is_uniform() ? "uniform" : tables_->alpha < 0 ? "weights" : "popularity";
}
double item_weights::alpha() const { return is_uniform() || tables_->alpha < 0 ? 0 : tables_->alpha; }

const std::string& item_weights::digest() const {
  static const std::string none;
  return is_uniform() ? none : tables_->digest;
}

std::span<const core::alias_column> item_weights::columns() const {
  return is_uniform() ? std::span<const core::alias_column>{} : tables_->columns;
}
std::span<const std::uint32_t> item_weights::sums() const {
  return is_uniform() ? std::span<const std::uint32_t>{} : tables_->sums;
}
std::uint32_t item_weights::shift() const { return is_uniform() ? 0 : tables_->shift; }

item_weights popularity_weights(const dataset& data, double alpha) {
  return popularity_weights(popularities(data), alpha);
}

item_weights popularity_weights(std::span<const std::uint64_t> counts, double alpha) {
  if (!(alpha >= 0 && alpha <= max_alpha)) {
    throw option_error("alpha", fmt::format("{} given; expected 0 to {}", alpha, max_alpha));
  }
  std::vector<std::uint32_t> weights(counts.size(), 1);
  if (alpha == 0) return item_weights(std::move(weights), alpha);
  const std::uint64_t positives = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (alpha == 1 && positives >= all_words) {
    throw option_error("alpha", fmt::format("the dataset has {} positives; alpha 1 takes at most {}", positives,
                                            all_words - 1));
  }
  std::vector<double> powers(counts.size());
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    powers[i] = power(static_cast<double>(counts[i]), alpha);
    sum += powers[i];
  }
  // Rounding up to 1, and the rounding of the sum, add less than two per item.
  const double scale = static_cast<double>(all_words - 1 - 2 * counts.size()) / sum;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto scaled = static_cast<std::uint32_t>(powers[i] * scale);
    weights[i] = counts[i] == 0 ? 0 : alpha == 1 ? static_cast<std::uint32_t>(counts[i]) : std::max(scaled, 1U);
  }
  return item_weights(std::move(weights), alpha);
}

namespace {

// Throws infeasible_error unless the list is empty.
void require_negatives(const std::vector<std::int32_t>& without, bool is_uniform) {
  if (without.empty()) return;
  const bool is_one = without.size() == 1;
  std::string names;
  for (std::size_t i = 0; i < std::min(without.size(), max_named_users); ++i) {
    names += (i == 0 ? "" : ", ") + std::to_string(without[i]);
  }
  if (without.size() > max_named_users) names += ", ...";
  const char* const reason = is_uniform ? "every item is among the training positives of"
                                        : "all items have weight 0 that are not among the training positives of";
  throw infeasible_error(fmt::format("{} user{} no negative: {} user{} {}. {} these users out", without.size(),
                                     is_one ? " has" : "s have", reason, is_one ? "" : "s", names,
                                     is_uniform ? "Leave" : "Give other items a positive weight, or leave"));
}

/// Returns the users who have no negative.
std::vector<std::int32_t> users_without(const dataset& data, const dataset_weights& weights) {
  std::vector<std::int32_t> without;
  for (std::int32_t user = 0; user < data.user_count(); ++user) {
    const std::int64_t* const row = data.user_offsets().data() + user;
    const bool has_none = weights.draw() == nullptr
                              ? row[1] - row[0] == data.item_count()
                              : row[1] != row[0] && weights.draw()->row_sums[row[1] - 1] == weights.items().sum();
    if (has_none) without.push_back(user);
  }
  return without;
}

}  // namespace

dataset_weights::dataset_weights(const dataset& data, const item_weights& weights)
    : dataset_weights(for_evaluation(data, weights)) {
  require_negatives(users_without(data, *this), weights.is_uniform());
}

dataset_weights dataset_weights::for_evaluation(const dataset& data, const item_weights& weights) {
  const auto items = static_cast<std::size_t>(data.item_count());
  if (!weights.is_uniform() && weights.values().size() != items) {
    throw option_error("weights", fmt::format("{} weights given; expected {}, one per item", weights.values().size(),
                                              items));
  }
  dataset_weights made;
  if (weights.is_uniform()) return made;
  std::vector<std::uint32_t> row_sums(data.positive_count());
  for (std::size_t user = 0; user + 1 < data.user_offsets().size(); ++user) {
    std::uint32_t sum = 0;
    for (auto p = static_cast<std::size_t>(data.user_offsets()[user]);
         p < static_cast<std::size_t>(data.user_offsets()[user + 1]); ++p) {
      sum += weights.values()[static_cast<std::size_t>(data.positive_items()[p])];
      row_sums[p] = sum;
    }
  }
  made.weights_ = weights;
  made.row_sums_ = std::make_shared<const std::vector<std::uint32_t>>(std::move(row_sums));
  made.draw_ = {weights.columns().data(), weights.sums().data(), made.row_sums_->data(),
                static_cast<std::uint32_t>(items), weights.shift()};
  return made;
}

std::uint64_t dataset_weights::memory_bytes() const {
  if (weights_.is_uniform()) return 0;
  return weights_.columns().size_bytes() + weights_.sums().size_bytes() + weights_.values().size_bytes() +
         row_sums_->size() * sizeof(std::uint32_t);
}

draw_logs make_draw_logs(const dataset& data, const dataset_weights& weights) {
  const core::weighted_draw* const draw = weights.draw();
  const std::span<const std::uint32_t> values = weights.items().values();
  draw_logs logs;
  for (const std::uint32_t weight : values) logs.items.push_back(std::log(weight));
  const auto offsets = data.user_offsets();
  const double all = draw == nullptr ? static_cast<double>(data.item_count()) : weights.items().sum();
  for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
    const std::int64_t count = offsets[user + 1] - offsets[user];
    const double taken = draw == nullptr || count == 0 ? static_cast<double>(count)
                                                       : draw->row_sums[offsets[user + 1] - 1];
    logs.users.push_back(std::log(all - taken));
  }
  logs.users.push_back(std::log(all));
  return logs;
}

}  // namespace negpipe

#include "negpipe/plan.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "negpipe/error.hpp"

namespace negpipe {

namespace {

/// Returns a * b. Throws option_error, naming what overflowed.
std::uint64_t checked_product(std::uint64_t a, std::uint64_t b, std::uint64_t limit, const char* what) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || product > limit) {
    throw option_error(fmt::format("{}: {} * {} is more than {}, the maximum", what, a, b, limit));
  }
  return product;
}

void require_positive(std::uint64_t value, const char* field) {
  if (value == 0) throw option_error(field, "0 given, 1 or more wanted");
}

constexpr std::uint64_t limit = core::permutation::max_size;

std::uint64_t count_points(std::uint64_t positive_count, const training_options& options) {
  const std::uint64_t per_epoch = checked_product(positive_count, options.negatives + std::uint64_t{1}, limit,
                                                  "points an epoch (training positives * (1 + `num_neg`))");
  return checked_product(per_epoch, options.epochs_per_cycle, limit,
                         "points a cycle (points an epoch * `epochs_per_cycle`)");
}

std::uint64_t count_rows(std::uint64_t positive_count, const training_options& options) {
  return checked_product(positive_count, options.epochs_per_cycle, limit,
                         "rows a cycle (training positives * `epochs_per_cycle`)");
}

}  // namespace

training_plan plan_training(const dataset& data, const training_options& options) {
  return plan_training(data.positive_count(), data.item_count(), options);
}

training_plan plan_training(std::uint64_t positive_count, std::int32_t item_count, const training_options& options) {
  require_positive(options.batch_size, "batch_size");
  require_positive(options.epochs_per_cycle, "epochs_per_cycle");
  if (options.batch_size > limit) {
    throw option_error("batch_size", fmt::format("{} given, at most {} wanted", options.batch_size, limit));
  }
  const bool pairwise = options.layout == batch_layout::pairwise;
  const std::uint64_t points = pairwise ? count_rows(positive_count, options) : count_points(positive_count, options);
  const bool drop = options.padding == padding_policy::drop;
  const std::uint64_t batches = drop ? points / options.batch_size : core::ceil_div(points, options.batch_size);
  if (batches == 0) {
    throw option_error("padding",
                       fmt::format("drop leaves no batch: a cycle has {} {}, `batch_size` is {}; choose a smaller "
                                   "batch or another padding",
                                   points, pairwise ? "rows" : "points", options.batch_size));
  }
  if (pairwise) {
    checked_product(batches * options.batch_size, options.negatives, limit,
                    "negatives a cycle (rows with padding * `num_neg`)");
  }
  return {.seed = options.seed,
          .positive_count = positive_count,
          .negatives = options.negatives,
          .epochs = options.epochs_per_cycle,
          .point_count = points,
          .batch_size = options.batch_size,
          .batch_count = batches,
          .pad = options.padding,
          .by_positives = core::divider64::make(positive_count),
          .item_draw = core::bounded32::make(static_cast<std::uint32_t>(item_count)),
          .padding_draw = core::bounded64::make(points),
          .layout = options.layout};
}

namespace {

/// What evaluation needs to know about users.
struct evaluated_users {
  std::vector<std::int64_t> items_left;  ///< items that negatives may be; -1 for a user without a held-out item
  const raw_ids* ids = nullptr;          ///< original ids, or null

  std::string name_of(std::size_t user) const {
    return fmt::format("{}(number {})", ids == nullptr ? "" : ids->to_string(user) + " ", user);
  }
};

evaluated_users users_of(std::span<const std::int64_t> offsets, std::int32_t item_count,
                         const evaluation_options& options) {
  if (!options.weights.is_uniform()) {
    throw option_error("eval_weights", "need the items of each user, but only their numbers are known; plan for a "
                                       "dataset, or evaluate on uniform negatives");
  }
  evaluated_users users{std::vector<std::int64_t>(offsets.size() - 1)};
  for (std::size_t user = 0; user < users.items_left.size(); ++user) {
    users.items_left[user] = item_count - (offsets[user + 1] - offsets[user]) - (options.mlperf ? 0 : 1);
  }
  return users;
}

/// Counts items that can be drawn: those of positive weight.
class drawable_items {
 public:
  drawable_items(const item_weights& weights, std::int32_t item_count)
      : weights_(weights.values()),
        count_(weights.is_uniform() ? std::int64_t{item_count} : std::int64_t{weights.positive_count()}) {
    if (weights.is_uniform() || weights_.size() == static_cast<std::size_t>(item_count)) return;
    throw option_error("eval_weights",
                       fmt::format("{} weights given; expected {}, one per item", weights_.size(), item_count));
  }

  std::int64_t count() const { return count_; }
  std::int64_t count_in(std::span<const std::int32_t> items) const {
    if (weights_.empty()) return std::ssize(items);
    const auto is_drawable = [&](std::int32_t item) { return weights_[static_cast<std::size_t>(item)] != 0; };
    return std::ranges::count_if(items, is_drawable);
  }

 private:
  std::span<const std::uint32_t> weights_;
  std::int64_t count_;
};

/// Throws infeasible_error for a set that is missing, and for a user with several items.
evaluated_users users_of(const dataset& data, const evaluation_options& options) {
  const user_items& set = data.heldout(options.set);
  if (set.offsets.empty()) {
    throw infeasible_error(
        "the dataset has no validation set; evaluate the test set, or prepare it with a `split` that has one");
  }
  const drawable_items drawable(options.weights, data.item_count());
  const user_items training{data.user_offsets(), data.positive_items()};
  evaluated_users users{std::vector<std::int64_t>(training.offsets.size() - 1), &data.user_ids()};
  const bool excludes_other = data.has_validation() && !options.mlperf;
  const user_items& other =
      data.heldout(options.set == heldout_set::test ? heldout_set::validation : heldout_set::test);
  for (std::size_t user = 0; user < users.items_left.size(); ++user) {
    const std::size_t count = set.of(user).size();
    if (count > 1) {
      throw infeasible_error(fmt::format(
          "user {} has {} held-out items; sampled evaluation rows need exactly one per user: rank all items instead, "
          "or prepare the dataset with `split` leave-one-out or leave-two-out",
          users.name_of(user), count));
    }
    std::int64_t left = drawable.count() - drawable.count_in(training.of(user));
    if (!options.mlperf) left -= drawable.count_in(set.of(user));
    if (excludes_other) left -= drawable.count_in(other.of(user));
    users.items_left[user] = count == 0 ? -1 : left;
  }
  return users;
}

std::vector<std::int32_t> skipped_users(const evaluated_users& users, const evaluation_options& options) {
  const bool one_suffices = options.mlperf || options.infeasible == infeasible_policy::fewer;
  const std::int64_t wanted = one_suffices ? 1 : options.negatives;
  std::vector<std::int32_t> skipped;
  for (std::size_t user = 0; user < users.items_left.size(); ++user) {
    if (users.items_left[user] < wanted) skipped.push_back(static_cast<std::int32_t>(user));
  }
  return skipped;
}

/// Returns "; " and what makes an evaluation feasible in which users have too few items left; empty if nothing does.
std::string advice_for(const evaluation_options& options, bool nobody_is_left) {
  std::vector<std::string_view> advice;
  if (!options.weights.is_uniform()) advice.emplace_back("give more items a positive weight (`eval_weights`)");
  if (!nobody_is_left) advice.emplace_back("skip these users (`eval_infeasible`)");
  if (!options.mlperf) advice.emplace_back("ask for fewer (`eval_negatives`), or draw with replacement (`mlperf`)");
  return fmt::format("{}{}", advice.empty() ? "" : "; ", fmt::join(advice, ", or "));
}

/// Throws infeasible_error if the policy does not allow this many users without enough items, or if nobody is left.
void check_feasible(const evaluated_users& users, const evaluation_options& options) {
  constexpr std::size_t max_named = 10;
  const std::vector<std::int32_t> skipped = skipped_users(users, options);
  const std::size_t user_count = users.items_left.size();
  const bool nobody = skipped.size() == user_count;
  std::size_t lacking = 0;
  std::string named;
  for (const std::int32_t number : skipped) {
    const auto user = static_cast<std::size_t>(number);
    if (users.items_left[user] < 0) continue;
    if (lacking < max_named) {
      named += fmt::format("{}{} has {}", lacking == 0 ? "" : ", ", users.name_of(user), users.items_left[user]);
    }
    ++lacking;
  }
  if (!nobody && (lacking == 0 || options.infeasible != infeasible_policy::error)) return;
  if (lacking == 0) throw infeasible_error("no user has a held-out item in the set; evaluate another one");
  throw infeasible_error(fmt::format(
      "{} {}evaluation negatives per user wanted, but {} of {} users have {} items {}left: {}{}{}",
      options.negatives, options.mlperf ? "" : "distinct ", lacking, user_count, options.mlperf ? "no" : "fewer",
      options.weights.is_uniform() ? "" : "of positive weight ", named, lacking > max_named ? ", ..." : "",
      advice_for(options, nobody)));
}

evaluation_plan plan_evaluation(const evaluated_users& users, std::int32_t item_count,
                                const evaluation_options& options, std::uint64_t seed) {
  require_positive(options.negatives, "eval_negatives");
  require_positive(options.batch_size, "eval_batch_size");
  constexpr std::uint32_t max_row = std::numeric_limits<std::int32_t>::max();
  if (options.negatives >= max_row) {
    throw option_error("eval_negatives", fmt::format("{} given, fewer than {} wanted", options.negatives, max_row));
  }
  const std::uint64_t row = options.negatives + std::uint64_t{1};
  if (options.batch_size % row != 0) {
    const std::uint64_t nearest = core::ceil_div(options.batch_size, row) * row;
    throw option_error("eval_batch_size",
                       fmt::format("{} given, a multiple of {} (1 held-out item and {} negatives) wanted, such as {}",
                                   options.batch_size, row, options.negatives, nearest));
  }
  if (options.batch_size > limit) {
    throw option_error("eval_batch_size", fmt::format("{} given, at most {} wanted", options.batch_size, limit));
  }
  check_feasible(users, options);
  const std::uint64_t user_count = users.items_left.size();
  const auto max_first = static_cast<std::int64_t>(std::numeric_limits<std::int32_t>::max() - user_count);
  if (options.first_user < 0 || options.first_user > max_first) {
    throw option_error("first_user", fmt::format("{} given, 0 to {} wanted", options.first_user, max_first));
  }
  return {.seed = seed,
          .negatives = options.negatives,
          .with_replacement = options.mlperf,
          .user_count = user_count,
          .batch_size = options.batch_size,
          .batch_count = core::ceil_div(user_count * row, options.batch_size),
          .item_draw = core::bounded32::make(static_cast<std::uint32_t>(item_count)),
          .fewer = options.infeasible == infeasible_policy::fewer,
          .weighted_items = options.weights.positive_count(),
          .first_user = static_cast<std::uint64_t>(options.first_user)};
}

}  // namespace

evaluation_plan plan_evaluation(const dataset& data, const evaluation_options& options, std::uint64_t seed) {
  return plan_evaluation(users_of(data, options), data.item_count(), options, seed);
}

evaluation_plan plan_evaluation(std::span<const std::int64_t> user_offsets, std::int32_t item_count,
                                const evaluation_options& options, std::uint64_t seed) {
  return plan_evaluation(users_of(user_offsets, item_count, options), item_count, options, seed);
}

std::vector<std::int32_t> skipped_users(const dataset& data, const evaluation_options& options) {
  return skipped_users(users_of(data, options), options);
}

core::cycle_key make_cycle_key(const training_plan& plan, std::uint32_t cycle) {
  return core::cycle_key::make(plan, cycle, core::philox_source{plan.seed});
}

void check_cycles(std::uint64_t first, std::uint64_t count) {
  require_positive(count, "cycle_count");
  constexpr std::uint64_t limit = std::uint64_t{1} << 32;
  if (first >= limit || count > limit - first) {
    throw option_error(fmt::format("cycles {} to {} + {}: cycle numbers have 32 bits, so the last is at most {}",
                                   first, first, count, limit - 1));
  }
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  for (;;) {
    const ssize_t got = ::getrandom(&seed, sizeof seed, 0);
    if (got == static_cast<ssize_t>(sizeof seed)) return seed;
    if (got < 0 && errno != EINTR) throw io_error("the operating system provides no random seed; set `seed`");
  }
}

}  // namespace negpipe

#include "negpipe/plan.hpp"

#include <fmt/core.h>
#include <sys/random.h>

#include <cerrno>
#include <limits>
#include <string>

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

std::vector<std::int32_t> skipped_users(std::span<const std::int64_t> offsets, std::int32_t item_count,
                                        const evaluation_options& options) {
  std::vector<std::int32_t> users;
  if (options.mlperf) return users;
  for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
    const std::int64_t left = item_count - (offsets[user + 1] - offsets[user]) - 1;
    if (left < options.negatives) users.push_back(static_cast<std::int32_t>(user));
  }
  return users;
}

/// Throws infeasible_error if the policy does not allow this many users without enough items. ids: original ids of
/// users, or null.
void check_feasible(std::span<const std::int64_t> offsets, std::int32_t item_count, const raw_ids* ids,
                    const evaluation_options& options) {
  constexpr std::size_t max_named = 10;
  const std::vector<std::int32_t> lacking = skipped_users(offsets, item_count, options);
  const std::size_t user_count = offsets.size() - 1;
  const bool nobody = lacking.size() == user_count;
  if (lacking.empty() || (options.infeasible == infeasible_policy::skip && !nobody)) return;
  std::string named;
  for (std::size_t i = 0; i < lacking.size() && i < max_named; ++i) {
    const auto user = static_cast<std::size_t>(lacking[i]);
    const std::string name = ids == nullptr ? "" : fmt::format("{} ", ids->to_string(user));
    named += fmt::format("{}{}(number {}) has {}", named.empty() ? "" : ", ", name, user,
                         item_count - (offsets[user + 1] - offsets[user]) - 1);
  }
  throw infeasible_error(
      fmt::format("{} distinct evaluation negatives per user wanted, but {} of {} users have fewer items left: {}{}; "
                  "ask for fewer (`eval_negatives`), {}draw with replacement (`mlperf`), or leave evaluation out "
                  "(`no_eval`)",
                  options.negatives, lacking.size(), user_count, named, lacking.size() > max_named ? ", ..." : "",
                  nobody ? "" : "skip these users (`eval_infeasible`), "));
}

evaluation_plan plan_evaluation(std::span<const std::int64_t> user_offsets, std::int32_t item_count,
                                const raw_ids* ids, const evaluation_options& options, std::uint64_t seed) {
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
  check_feasible(user_offsets, item_count, ids, options);
  const std::uint64_t users = user_offsets.size() - 1;
  return {.seed = seed,
          .negatives = options.negatives,
          .with_replacement = options.mlperf,
          .user_count = users,
          .batch_size = options.batch_size,
          .batch_count = core::ceil_div(users * row, options.batch_size),
          .item_draw = core::bounded32::make(static_cast<std::uint32_t>(item_count))};
}

}  // namespace

evaluation_plan plan_evaluation(const dataset& data, const evaluation_options& options, std::uint64_t seed) {
  return plan_evaluation(data.user_offsets(), data.item_count(), &data.user_ids(), options, seed);
}

evaluation_plan plan_evaluation(std::span<const std::int64_t> user_offsets, std::int32_t item_count,
                                const evaluation_options& options, std::uint64_t seed) {
  return plan_evaluation(user_offsets, item_count, nullptr, options, seed);
}

std::vector<std::int32_t> skipped_users(const dataset& data, const evaluation_options& options) {
  return skipped_users(data.user_offsets(), data.item_count(), options);
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

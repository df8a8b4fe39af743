#include "negpipe/negative_sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/error.hpp"
#include "row_repair.hpp"
#include "thread_pool.hpp"

namespace negpipe {

namespace {

/// Elements that a thread takes at once: long enough for a kernel to alternate its two blocks many times.
constexpr std::uint64_t elements_per_piece = 16'384;

void check_length(const char* what, std::uint64_t given, std::uint64_t wanted) {
  if (given == wanted) return;
  throw option_error(what, fmt::format("{} values given; expected {}", given, wanted));
}

/// Throws unless all numbers are below the count. Returns the lowest, 0 for none.
template <typename Number>
Number check_numbers(const char* what, std::span<const Number> numbers, std::int32_t count) {
  Number lowest = 0;
  Number highest = 0;
  for (const Number number : numbers) {
    lowest = std::min(lowest, number);
    highest = std::max(highest, number);
  }
  if (highest < count) return lowest;
  const auto wrong = std::find_if(numbers.begin(), numbers.end(), [&](Number number) { return number >= count; });
  throw out_of_range_error(fmt::format("there is no {} {}, given at index {}: there are {}, numbered from 0; negative "
                                       "numbers are padding", what, *wrong, wrong - numbers.begin(), count));
}

}  // namespace

struct negative_sampler::state {
  negative_options options;
  positives_index index;
  core::positives_view view;
  dataset_weights weights;
  core::bounded32 item_draw;
  kernel_set kernels = supported_kernels().front();
  mutable std::mutex sharing;
  mutable support::thread_pool pool;
  mutable std::once_flag logs_once;  // only log_q needs them
  mutable draw_logs made_logs;

  // Weights come first, so that they are rejected before the index is built.
  state(const dataset& data, const negative_options& given, const run_control& control)
      : state(given, dataset_weights(data, given.weights),
              [&] { return positives_index(data, given.bitset_budget, control); }, control.thread_count()) {}

  state(const positives_index& made, const negative_options& given)
      : state(given, dataset_weights(made.source(), given.weights), [&] { return made; },
              run_control{.threads = given.threads}.thread_count()) {}

  state(const negative_options& given, dataset_weights checked, const std::function<positives_index()>& make_index,
        unsigned threads)
      : options(given),
        index(make_index()),
        view(index.view()),
        weights(std::move(checked)),
        item_draw(core::bounded32::make(static_cast<std::uint32_t>(view.item_count))),
        pool(threads) {}

  const draw_logs& logs() const {
    std::call_once(logs_once, [&] { made_logs = make_draw_logs(index.source(), weights); });
    return made_logs;
  }

  /// Calls work with the item draw.
  template <typename Work>
  auto with_draw(const Work& work) const {
    return weights.draw() != nullptr ? work(*weights.draw()) : work(item_draw);
  }

  /// Runs pieces in parallel. The pool serves one call at a time; a concurrent call works in its own thread.
  void share(std::uint64_t piece_count, const std::function<void(std::uint64_t)>& body) const {
    if (piece_count > 1) {
      const std::unique_lock lock(sharing, std::try_to_lock);
      if (lock.owns_lock()) return pool.for_each(piece_count, body);
    }
    for (std::uint64_t piece = 0; piece < piece_count; ++piece) body(piece);
  }

  void sample(std::span<const std::int32_t> users, const draw_call& call, std::span<std::int32_t> out) const;
  void replace_taken(std::span<const std::int32_t> users, const draw_call& call, std::uint64_t begin,
                     std::uint64_t end, std::int32_t* out) const;
  const char* of_positive_weight() const { return weights.draw() == nullptr ? "" : " of positive weight"; }
};

namespace {

std::uint64_t excluded_per_row(const draw_call& call, std::uint64_t rows, std::int32_t item_count) {
  check_numbers("item", call.excluded, item_count);
  if (rows == 0) return 0;
  const std::uint64_t per_row = call.excluded.size() / rows;
  check_length("excluded", call.excluded.size(), per_row * rows);
  return per_row;
}

/// Throws if an element number does not fit 64 bits.
void check_elements(const draw_call& call, std::uint64_t rows) {
  if (call.negatives == 0) return;
  const std::uint64_t limit = std::numeric_limits<std::uint64_t>::max() / call.negatives;
  if (call.offset <= limit && rows <= limit - call.offset) return;
  throw option_error("offset", fmt::format("{} given; expected at most {}", call.offset, limit - rows));
}

/// Throws if no user can have so many distinct items: before memory is allocated for them.
void check_distinct(const draw_call& call, std::int32_t item_count) {
  if (!call.distinct || call.negatives <= static_cast<std::uint32_t>(item_count)) return;
  throw infeasible_error(fmt::format("{} distinct negatives wanted, but the dataset has only {} items. Draw fewer",
                                     call.negatives, item_count));
}

// Parts of messages about too few items.
const char* outside_excluded(const draw_call& call) {
  return call.excluded.empty() ? "" : " outside the excluded items";
}
const char* advice_for(const draw_call& call) {
  return call.excluded.empty() ? "Draw fewer" : "Draw fewer, or exclude fewer items";
}

}  // namespace

void negative_sampler::state::sample(std::span<const std::int32_t> users, const draw_call& call,
                                     std::span<std::int32_t> out) const {
  check_elements(call, users.size());
  check_distinct(call, view.item_count);
  check_length("out", out.size(), users.size() * call.negatives);
  const std::uint64_t excluded = excluded_per_row(call, users.size(), view.item_count);
  if (out.empty()) return;
  const free_job job{options.seed, call.at, call.negatives, call.offset * call.negatives, item_draw, weights.draw()};
  if (!call.distinct && excluded == 0) {
    share(core::ceil_div(out.size(), elements_per_piece), [&](std::uint64_t piece) {
      const std::uint64_t begin = piece * elements_per_piece;
      const std::uint64_t end = std::min<std::uint64_t>(out.size(), begin + elements_per_piece);
      kernels.fill_free(job, view, users.data(), begin, end, out.data());
    });
    return;
  }
  const std::uint64_t rows = std::max<std::uint64_t>(1, elements_per_piece / call.negatives);
  share(core::ceil_div(users.size(), rows), [&](std::uint64_t piece) {
    const std::uint64_t begin = piece * rows;
    const std::uint64_t end = std::min<std::uint64_t>(users.size(), begin + rows);
    kernels.fill_free(job, view, users.data(), begin * call.negatives, end * call.negatives, out.data());
    replace_taken(users, call, begin, end, out.data());
  });
}

void negative_sampler::state::replace_taken(std::span<const std::int32_t> users, const draw_call& call,
                                            std::uint64_t begin, std::uint64_t end, std::int32_t* out) const {
  const std::uint64_t width = call.excluded.size() / users.size();
  const core::free_stream stream = core::free_stream::for_users(call.at);
  row_repairer repair(width + (call.distinct ? call.negatives : 0), options.seed);
  for (std::uint64_t row = begin; row < end; ++row) {
    if (users[row] < 0) continue;
    const std::uint32_t made = with_draw([&](const auto& draw) {
      return repair(view, user_id{users[row]}, draw, stream, (call.offset + row) * call.negatives,
                    {call.excluded.subspan(row * width, width), call.distinct},
                    std::span(out + row * call.negatives, call.negatives));
    });
    if (made == call.negatives) continue;
    throw infeasible_error(fmt::format("user {}, given at index {}, has only {} {}negatives{}{} left; {} wanted. {}",
                                       users[row], row, made, call.distinct ? "distinct " : "", of_positive_weight(),
                                       outside_excluded(call), call.negatives, advice_for(call)));
  }
}

negative_sampler::negative_sampler(const dataset& data, const negative_options& options, const run_control& control) {
  run_control own = control;
  if (options.threads != 0) own.threads = options.threads;
  shared_ = std::make_shared<const state>(data, options, own);
}

negative_sampler::negative_sampler(const positives_index& index, const negative_options& options)
    : shared_(std::make_shared<const state>(index, options)) {}

negative_sampler negative_sampler::with_threads(unsigned threads) const {
  negative_options options = shared_->options;
  options.threads = threads;
  return negative_sampler(shared_->index, options);
}

void negative_sampler::sample(std::span<const std::int32_t> users, const draw_call& call,
                              std::span<std::int32_t> out) const {
  check_numbers("user", users, shared_->view.user_count);
  shared_->sample(users, call, out);
}

void negative_sampler::sample(std::span<const std::int64_t> users, const draw_call& call,
                              std::span<std::int32_t> out) const {
  check_numbers("user", users, shared_->view.user_count);
  std::vector<std::int32_t> narrow(users.size());
  std::transform(users.begin(), users.end(), narrow.begin(),
                 [](std::int64_t user) { return user < 0 ? -1 : static_cast<std::int32_t>(user); });
  shared_->sample(narrow, call, out);
}

void negative_sampler::sample_shared(const draw_call& call, std::span<std::int32_t> out) const {
  const state& s = *shared_;
  check_distinct(call, s.view.item_count);
  check_length("out", out.size(), call.negatives);
  excluded_per_row(call, 1, s.view.item_count);
  if (call.offset > std::numeric_limits<std::uint64_t>::max() - call.negatives) {
    throw option_error("offset", fmt::format("{} given; expected at most 2^64 - {}", call.offset, call.negatives));
  }
  const core::no_positives nobody{{}, s.view.item_count};
  const core::free_stream stream = core::free_stream::shared(call.at);
  const std::uint32_t made = s.with_draw([&](const auto& draw) {
    for (std::uint32_t k = 0; k < call.negatives; ++k) {
      out[k] = core::draw_free(nobody, user_id{0}, draw, stream, call.offset + k, {},
                               core::philox_source{s.options.seed});
    }
    row_repairer repair(call.excluded.size() + (call.distinct ? call.negatives : 0), s.options.seed);
    return repair(nobody, user_id{0}, draw, stream, call.offset, {call.excluded, call.distinct}, out);
  });
  if (made == call.negatives) return;
  throw infeasible_error(fmt::format("there are only {} {}items{}{}; {} wanted. {}", made,
                                     call.distinct ? "distinct " : "", s.of_positive_weight(), outside_excluded(call),
                                     call.negatives, advice_for(call)));
}

void negative_sampler::contains(std::span<const std::int32_t> users, std::span<const std::int32_t> items,
                                std::span<std::uint8_t> found) const {
  const state& s = *shared_;
  check_length("items", items.size(), users.size());
  check_length("found", found.size(), users.size());
  check_numbers("user", users, s.view.user_count);
  check_numbers("item", items, s.view.item_count);
  s.share(core::ceil_div(users.size(), elements_per_piece), [&](std::uint64_t piece) {
    const std::uint64_t begin = piece * elements_per_piece;
    const std::uint64_t count = std::min<std::uint64_t>(users.size() - begin, elements_per_piece);
    s.kernels.contains(s.view, users.data() + begin, items.data() + begin, count, found.data() + begin);
  });
}

void negative_sampler::contains_each(std::span<const std::int32_t> users, std::span<const std::int32_t> items,
                                     std::span<std::uint8_t> found) const {
  const state& s = *shared_;
  check_length("found", found.size(), users.size() * items.size());
  check_numbers("user", users, s.view.user_count);
  check_numbers("item", items, s.view.item_count);
  s.share(users.size(), [&](std::uint64_t row) {
    const std::vector<std::int32_t> same(items.size(), users[row]);
    s.kernels.contains(s.view, same.data(), items.data(), items.size(), found.data() + row * items.size());
  });
}

void negative_sampler::log_q(std::span<const std::int32_t> users, std::span<const std::int32_t> items,
                             std::span<float> values) const {
  const state& s = *shared_;
  check_length("items", items.size(), users.size());
  check_length("values", values.size(), users.size());
  check_numbers("user", users, s.view.user_count);
  check_numbers("item", items, s.view.item_count);
  const draw_logs& logs = s.logs();
  s.share(core::ceil_div(users.size(), elements_per_piece), [&](std::uint64_t piece) {
    const std::uint64_t begin = piece * elements_per_piece;
    const std::uint64_t end = std::min<std::uint64_t>(users.size(), begin + elements_per_piece);
    for (std::uint64_t i = begin; i < end; ++i) {
      const auto user = static_cast<std::size_t>(users[i] < 0 ? s.view.user_count : users[i]);
      const double weight = logs.items.empty() || items[i] < 0 ? 0 : logs.items[static_cast<std::size_t>(items[i])];
      values[i] = items[i] < 0 ? 0 : static_cast<float>(weight - logs.users[user]);
    }
  });
}

const dataset& negative_sampler::data() const { return shared_->index.source(); }
std::uint64_t negative_sampler::seed() const { return shared_->options.seed; }
const item_weights& negative_sampler::weights() const { return shared_->options.weights; }

std::string negative_sampler::description() const {
  const unsigned threads = shared_->pool.thread_count();
  return fmt::format("cpu ({}, {} thread{})", shared_->kernels.name, threads, threads == 1 ? "" : "s");
}

}  // namespace negpipe

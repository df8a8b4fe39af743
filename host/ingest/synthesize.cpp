#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "disk_bytes.hpp"
#include "long_tail.hpp"
#include "negpipe/core/bounded.hpp"
#include "negpipe/core/counter.hpp"
#include "negpipe/core/permutation.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/error.hpp"
#include "negpipe/synth.hpp"
#include "ratings_csv.hpp"
#include "staged_dataset.hpp"
#include "thread_pool.hpp"
#include "user_rows.hpp"

namespace negpipe {

namespace {

using namespace ingest;

// Values of the cycle word in counters of tag::synth.
constexpr std::uint32_t item_draws = 0;     // index = interaction
constexpr std::uint32_t heldout_draws = 1;  // index = user
constexpr std::uint32_t user_order = 2;     // index = 0

// Endings of files that are not plain text: readers would choose a format by them.
constexpr std::array<std::string_view, 7> binary_endings{".gz", ".zst", ".zip", ".bz2", ".xz", ".lz4", ".parquet"};

void check(const synth_options& options) {
  const auto users = static_cast<std::uint64_t>(std::max(options.users, 0));
  const auto items = static_cast<std::uint64_t>(std::max(options.items, 0));
  if (users == 0 || items == 0) throw option_error("synth: users and items must be at least 1");
  const std::uint64_t min_items = std::max(options.min_ratings, 2U);
  if (items < min_items) {
    throw option_error("items", fmt::format("{} given, at least {} wanted, because {}", items, min_items,
                                            min_items == options.min_ratings
                                                ? "each user rates as many different ones (`min_ratings`)"
                                                : "some user has a training item and a held-out one"));
  }
  const std::uint64_t least = std::max({users * options.min_ratings, items, users + 1});
  if (options.interactions < least || options.interactions > users * items) {
    throw option_error("interactions", fmt::format("{} given, {} to {} wanted for {} users with at least {} each "
                                                   "(`min_ratings`), and {} items",
                                                   options.interactions, least, users * items, users,
                                                   options.min_ratings, items));
  }
}

/// Returns the number of interactions of each user. With this shift the largest and the median number are close to
/// those of MovieLens-1M (2,314 and 96) and -20M (9,254 and 68).
std::vector<std::uint64_t> user_degrees(const synth_options& options) {
  const auto users = static_cast<std::uint64_t>(options.users);
  const auto weights = zipf_weights(users, std::min<std::uint64_t>(300, users / 64 + 1), 1);
  const auto above_minimum = apportion(options.interactions - users * options.min_ratings, weights,
                                       static_cast<std::uint64_t>(options.items) - options.min_ratings);
  const auto order = core::permutation::make(users, core::philox_source{options.seed}, core::tag::synth, user_order, 0);
  std::vector<std::uint64_t> degrees(users);
  for (std::uint64_t user = 0; user < users; ++user) {
    degrees[user] = options.min_ratings + above_minimum[order(user)];
  }
  return degrees;
}

/// In MovieLens-1M and -20M the most popular item has one interaction in 300, and the tail falls faster than 1 / rank.
/// This distribution with this shift has both properties.
weighted_draw item_law(const synth_options& options) {
  const auto items = static_cast<std::uint64_t>(options.items);
  return weighted_draw(zipf_weights(items, std::min<std::uint64_t>(300, items / 8 + 1), 2));
}

/// Chooses the items of a range of users. Items are numbered by popularity.
class item_chooser {
 public:
  item_chooser(const synth_options& options, const weighted_draw& law)
      : source_{options.seed},
        law_(law),
        item_count_(static_cast<std::uint64_t>(options.items)),
        interactions_(options.interactions),
        by_law_(core::bounded64::make(law.total())),
        evenly_(core::bounded64::make(item_count_)),
        taken_by_(item_count_, -1) {}

  /// Fills the user's interactions, numbers first to first + chosen.size() of all, with distinct items.
  void choose(std::int32_t user, std::uint64_t first, std::span<std::int32_t> chosen) {
    std::size_t count = 0;
    for (std::uint64_t item = first_reserved_from(first);
         item < item_count_ && reserved_interaction(item) < first + chosen.size(); ++item) {
      take(user, static_cast<std::uint32_t>(item));
      chosen[count++] = static_cast<std::int32_t>(item);
    }
    for (; count < chosen.size(); ++count) {
      chosen[count] = static_cast<std::int32_t>(draw(user, first + count));
    }
    std::uint64_t heldout = 0;
    draw_below(core::bounded64::make(chosen.size()), heldout_draws, static_cast<std::uint64_t>(user), 0, heldout);
    std::swap(chosen[heldout], chosen.back());
  }

 private:
  // Each item gets one fixed interaction, evenly spread, so that every item appears.
  std::uint64_t reserved_interaction(std::uint64_t item) const { return muldiv(interactions_, item, item_count_); }

  std::uint64_t first_reserved_from(std::uint64_t interaction) const {
    std::uint64_t item = muldiv(item_count_, interaction, interactions_);
    while (item < item_count_ && reserved_interaction(item) < interaction) ++item;
    return item;
  }

  std::uint32_t draw(std::int32_t user, std::uint64_t interaction) {
    constexpr std::uint32_t max_attempts = 32;
    std::uint64_t drawn = 0;
    std::uint32_t attempt = 0;
    for (; attempt < max_attempts; ++attempt) {
      attempt = draw_below(by_law_, item_draws, interaction, attempt, drawn);
      const std::uint32_t item = law_.rank_of(drawn);
      if (take(user, item)) return item;
    }
    // The user has almost all popular items: takes the next free one after a uniformly drawn item.
    draw_below(evenly_, item_draws, interaction, attempt, drawn);
    while (!take(user, static_cast<std::uint32_t>(drawn))) drawn = (drawn + 1) % item_count_;
    return static_cast<std::uint32_t>(drawn);
  }

  bool take(std::int32_t user, std::uint32_t item) { return std::exchange(taken_by_[item], user) != user; }

  // Each attempt uses 64 bits, half a block. Returns the accepted attempt.
  std::uint32_t draw_below(const core::bounded64& below, std::uint32_t purpose, std::uint64_t index,
                           std::uint32_t attempt, std::uint64_t& drawn) const {
    for (;; ++attempt) {
      const auto block = source_(core::make_counter(core::tag::synth, purpose, index, attempt / 2));
      const std::uint32_t low = block.word[2 * (attempt % 2)];
      const std::uint32_t high = block.word[2 * (attempt % 2) + 1];
      if (below(static_cast<std::uint64_t>(high) << 32 | low, drawn)) return attempt;
    }
  }

  core::philox_source source_;
  const weighted_draw& law_;
  std::uint64_t item_count_;
  std::uint64_t interactions_;
  core::bounded64 by_law_;
  core::bounded64 evenly_;
  std::vector<std::int32_t> taken_by_;  // [item_count] the last user who took the item
};

/// Progress of several threads.
class shared_progress {
 public:
  shared_progress(std::string_view stage, std::string_view unit, std::uint64_t total, const run_control& control)
      : now_{stage, unit, 0, total}, control_(control) {
    control_.report(now_);
  }

  void add(std::uint64_t more) {
    const std::lock_guard lock(mutex_);
    now_.done += more;
    control_.report(now_);
  }

 private:
  std::mutex mutex_;
  progress now_;
  const run_control& control_;
};

/// Numbers items by first appearance, user by user with the held-out item last. prepare does the same with rows in
/// which training positives ascend.
class renumbering_items {
 public:
  explicit renumbering_items(std::size_t item_count) : number_of_(item_count, -1) {}

  void renumber(std::span<std::int32_t> items) {
    for (std::int32_t& item : items) {
      std::int32_t& number = number_of_[static_cast<std::size_t>(item)];
      if (number < 0) number = next_++;
      item = number;
    }
  }

 private:
  std::vector<std::int32_t> number_of_;
  std::int32_t next_ = 0;
};

/// Draws the rows of all users, block by block. Those of user u are pairs first[u] .. first[u + 1].
class row_maker {
 public:
  row_maker(const synth_options& options, const std::vector<std::uint64_t>& first, support::thread_pool& pool,
            const run_control& control)
      : first_(first),
        pool_(pool),
        control_(control),
        law_(item_law(options)),
        renumbering_(static_cast<std::size_t>(options.items)),
        done_("drawing items", "users", first.size() - 1, control) {
    for (unsigned i = 0; i < pool.thread_count(); ++i) choosers_.emplace_back(options, law_);
  }

  /// Writes the positives, and calls written(number of positives) after each block.
  void run(std::span<std::int32_t> positives, std::span<std::int32_t> heldout,
           const std::function<void(std::uint64_t)>& written) {
    const std::size_t user_count = first_.size() - 1;
    for (std::size_t begin = 0; begin < user_count;) {
      const auto past = std::upper_bound(first_.begin() + static_cast<std::ptrdiff_t>(begin), first_.end(),
                                         first_[begin] + block_pairs);
      const std::size_t end = std::max(begin + 1, static_cast<std::size_t>(past - first_.begin()) - 1);
      draw(begin, end);
      renumbering_.renumber(items_);
      hold_out(begin, end, positives, heldout);
      written(first_[end] - end);
      begin = end;
    }
  }

 private:
  static constexpr std::uint64_t block_pairs = std::uint64_t{16} << 20;

  std::span<std::int32_t> row(std::size_t block_begin, std::size_t user) {
    return std::span(items_).subspan(first_[user] - first_[block_begin], first_[user + 1] - first_[user]);
  }

  /// Calls body(thread, user) for every user of a block, and finished(number of users) once in a while.
  template <typename Body, typename Finished>
  void for_each_user(std::size_t begin, std::size_t end, const Body& body, const Finished& finished) {
    const std::size_t threads = choosers_.size();
    pool_.for_each(threads, [&](std::uint64_t thread) {
      constexpr std::size_t users_a_report = 1024;
      const std::size_t last = begin + (end - begin) * (thread + 1) / threads;
      for (std::size_t user = begin + (end - begin) * thread / threads; user < last;) {
        const std::size_t from = user;
        const std::size_t stop = std::min(last, user + users_a_report);
        control_.throw_if_stopped();
        for (; user < stop; ++user) body(thread, user);
        finished(stop - from);
      }
    });
  }

  void draw(std::size_t begin, std::size_t end) {
    items_.resize(first_[end] - first_[begin]);
    const auto choose = [&](std::uint64_t thread, std::size_t user) {
      choosers_[thread].choose(static_cast<std::int32_t>(user), first_[user], row(begin, user));
    };
    for_each_user(begin, end, choose, [&](std::size_t users) { done_.add(users); });
  }

  void hold_out(std::size_t begin, std::size_t end, std::span<std::int32_t> positives,
                std::span<std::int32_t> heldout) {
    const auto copy = [&](std::uint64_t, std::size_t user) {
      const auto items = row(begin, user);
      heldout[user] = items.back();
      const auto to = positives.subspan(first_[user] - user, items.size() - 1);
      std::copy(items.begin(), items.end() - 1, to.begin());
      std::sort(to.begin(), to.end());
    };
    for_each_user(begin, end, copy, [](std::size_t) {});
  }

  const std::vector<std::uint64_t>& first_;
  support::thread_pool& pool_;
  const run_control& control_;
  weighted_draw law_;
  renumbering_items renumbering_;
  shared_progress done_;
  std::vector<item_chooser> choosers_;  // one per thread
  std::vector<std::int32_t> items_;     // of the block
};

dataset_arrays make_rows(const synth_options& options, const std::vector<std::uint64_t>& first,
                         const std::filesystem::path& spill, const run_control& control) {
  const std::size_t user_count = first.size() - 1;
  dataset_arrays arrays;
  arrays.user_offsets.resize(first.size());
  for (std::size_t user = 0; user <= user_count; ++user) {
    arrays.user_offsets[user] = static_cast<std::int64_t>(first[user] - user);
  }
  arrays.heldout_items.resize(user_count);
  const std::uint64_t positive_count = options.interactions - user_count;
  support::thread_pool pool(control.thread_count());
  row_maker rows(options, first, pool, control);
  if (spill.empty()) {
    arrays.positive_items.resize(positive_count);
    rows.run(arrays.positive_items, arrays.heldout_items, [](std::uint64_t) {});
    return arrays;
  }
  const auto disk = std::make_shared<support::disk_bytes>(spill, positive_count * sizeof(std::int32_t));
  const std::span positives(reinterpret_cast<std::int32_t*>(disk->bytes().data()), positive_count);
  rows.run(positives, arrays.heldout_items,
           [&](std::uint64_t count) { disk->release_until(count * sizeof(std::int32_t)); });
  arrays.positives_elsewhere = positives;
  arrays.owner = disk;
  return arrays;
}

std::vector<std::int64_t> ids_from_one(std::int32_t count) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

std::optional<double> scale_of(std::string_view text) {
  double scale = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), scale);
  if (failure != std::errc() || end != text.data() + text.size() || !(scale > 0 && scale <= 1)) return {};
  return scale;
}

}  // namespace

synth_options synth_shape(std::string_view name) {
  if (name == "ml-1m") return {.users = 6'040, .items = 3'706, .interactions = 1'000'209};
  if (name == "ml-20m") return {.users = 138'493, .items = 26'744, .interactions = 20'000'263};
  if (name == "ml-20m-16x32") return {.users = 2'197'225, .items = 855'776, .interactions = 1'223'962'043 + 2'197'225};
  if (constexpr std::string_view prefix = "vk-lsvd:"; name.starts_with(prefix)) {
    if (const auto scale = scale_of(name.substr(prefix.size()))) {
      return {.users = static_cast<std::int32_t>(std::llround(10e6 * *scale)),
              .items = static_cast<std::int32_t>(std::llround(19.6e6 * *scale)),
              .interactions = static_cast<std::uint64_t>(std::llround(40.8e9 * *scale))};
    }
  }
  throw option_error(fmt::format("synth: unknown shape \"{}\"; choose ml-1m, ml-20m, ml-20m-16x32 or vk-lsvd:SCALE "
                                 "with a SCALE above 0 and at most 1",
                                 name));
}

dataset synthesize(const synth_options& options, const run_control& control, const std::filesystem::path& csv,
                   const std::filesystem::path& spill) {
  check(options);
  const auto degrees = user_degrees(options);
  std::vector<std::uint64_t> first(degrees.size() + 1, 0);
  std::partial_sum(degrees.begin(), degrees.end(), first.begin() + 1);

  dataset_arrays arrays = make_rows(options, first, spill, control);
  arrays.user_ids = ids_from_one(options.users);
  arrays.item_ids = ids_from_one(options.items);
  dataset made(std::move(arrays),
               {.source = "synth",
                .options = nlohmann::ordered_json{{"command", "synth"}, {"min_ratings", options.min_ratings}}.dump(),
                .seed = options.seed,
                .row_count = options.interactions});
  if (!csv.empty()) staged_ratings(csv, made, control).file().publish(/*replace=*/true);
  return made;
}

void check_paths(const std::filesystem::path& folder, const std::filesystem::path& csv, bool replace) {
  const std::string ending = csv.extension().string();
  if (std::ranges::find(binary_endings, ending) != binary_endings.end()) {
    throw option_error("csv", fmt::format("{} ends in {}, but ratings are written as plain text; leave {} out",
                                          csv.string(), ending, ending));
  }
  dataset::check_path(folder, replace, csv);
  support::check_output_file(csv, replace);
}

void save_with_ratings(const dataset& data, const std::filesystem::path& folder, const std::filesystem::path& csv,
                       bool replace, const run_control& control) {
  check_paths(folder, csv, replace);
  staged_ratings ratings(csv, data, control);
  staged_dataset made(data, folder, replace);
  ratings.file().take_path(replace);
  try {
    made.take_path();
  } catch (...) {
    ratings.file().withdraw();
    throw;
  }
  ratings.file().settle();
  made.settle();
}

}  // namespace negpipe

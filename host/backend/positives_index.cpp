#include "negpipe/positives.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "huge_array.hpp"
#include "negpipe/core/arith.hpp"
#include "thread_pool.hpp"

namespace negpipe {

namespace {

constexpr std::uint64_t users_per_block = 256;

// Stores the samples that fall into one row: the user of every 2^sample_shift-th positive.
void note_samples(std::int32_t user, std::uint64_t begin, std::uint64_t end, std::int32_t* samples) {
  constexpr std::uint64_t step = 1ULL << core::csr_view::sample_shift;
  for (std::uint64_t sample = core::ceil_div(begin, step); sample < core::ceil_div(end, step); ++sample) {
    samples[sample] = user;
  }
}

void set_bits(core::item_row row, std::uint32_t* words) {
  for (std::uint32_t k = 0; k < row.count; ++k) {
    const auto item = static_cast<std::uint32_t>(row.items[k]);
    words[item / 32] |= 1U << (item % 32);
  }
}

void add_to_filter(user_id user, core::item_row row, std::uint32_t word_count, std::uint32_t* words) {
  for (std::uint32_t k = 0; k < row.count; ++k) {
    const auto at = core::bloom_filter_view::slot_of(user, row.items[k], word_count);
    std::atomic_ref(words[at.word]).fetch_or(at.mask(), std::memory_order_relaxed);
  }
}

}  // namespace

struct positives_index::storage {
  huge_array<std::int32_t> user_samples;
  huge_array<std::uint32_t> bitset_words;
  huge_array<std::uint32_t> filter_words;
  core::positives_view view;
  std::mutex mutex;  // held while deferred structures are built
  std::atomic<bool> is_built = false;

  void build(const dataset& data, core::membership form, const run_control& control);
};

std::uint64_t bitset_bytes(std::int32_t user_count, std::int32_t item_count) {
  return static_cast<std::uint64_t>(user_count) * core::bitset_view::row_words(static_cast<std::uint32_t>(item_count)) *
         sizeof(std::uint32_t);
}

std::uint64_t bloom_filter_bytes(std::uint64_t positive_count) {
  return std::uint64_t{core::bloom_filter_view::words_for(positive_count)} * sizeof(std::uint32_t);
}

core::membership choose_membership(std::int32_t user_count, std::int32_t item_count, std::uint64_t positive_count,
                                   std::uint64_t budget_bytes) {
  if (bitset_bytes(user_count, item_count) <= budget_bytes) return core::membership::bitset;
  if (bloom_filter_bytes(positive_count) <= budget_bytes) return core::membership::bloom_filter;
  return core::membership::sorted_search;
}

void positives_index::storage::build(const dataset& data, core::membership form, const run_control& control) {
  const std::int32_t users = data.user_count();
  const std::uint32_t row_words = core::bitset_view::row_words(static_cast<std::uint32_t>(data.item_count()));
  const bool with_bitset = form == core::membership::bitset;
  const std::uint32_t filter_count =
      form == core::membership::bloom_filter ? core::bloom_filter_view::words_for(data.positive_count()) : 0;
  user_samples = huge_array<std::int32_t>(core::csr_view::sample_count(data.positive_count()));
  user_samples[user_samples.size() - 1] = users - 1;
  if (with_bitset) bitset_words = huge_array<std::uint32_t>(static_cast<std::uint64_t>(users) * row_words);
  filter_words = huge_array<std::uint32_t>(filter_count);
  view = {{data.user_offsets().data(), data.positive_items().data(), user_samples.data()},
          {bitset_words.data(), with_bitset ? row_words : 0},
          {filter_words.data(), filter_count},
          data.heldout_items().data(),
          users,
          data.item_count(),
          form};

  // Every user writes separate samples and bitset words, and sets filter bits atomically, so users need no order.
  support::thread_pool pool(control.thread_count());
  pool.for_each(core::ceil_div(static_cast<std::uint64_t>(users), users_per_block), [&](std::uint64_t block) {
    control.throw_if_stopped();
    const auto first = static_cast<std::int32_t>(block * users_per_block);
    const std::int32_t last = std::min(users, first + static_cast<std::int32_t>(users_per_block));
    for (std::int32_t user = first; user < last; ++user) {
      note_samples(user, static_cast<std::uint64_t>(view.csr.user_offsets[user]),
                   static_cast<std::uint64_t>(view.csr.user_offsets[user + 1]), user_samples.data());
      if (with_bitset) {
        set_bits(view.csr.row(user_id{user}), bitset_words.data() + static_cast<std::uint64_t>(user) * row_words);
      }
      if (filter_count != 0) {
        add_to_filter(user_id{user}, view.csr.row(user_id{user}), filter_count, filter_words.data());
      }
    }
  });
  is_built.store(true, std::memory_order_release);
}

positives_index::positives_index(const dataset& data, core::membership form)
    : data_(data), form_(form), owner_(std::make_shared<storage>()) {}

positives_index::positives_index(const dataset& data, std::uint64_t budget_bytes, const run_control& control,
                                 std::optional<core::membership> form)
    : positives_index(deferred(data, budget_bytes, form)) {
  owner_->build(data_, form_, control);
}

positives_index positives_index::deferred(const dataset& data, std::uint64_t budget_bytes,
                                          std::optional<core::membership> form) {
  return {data, form.value_or(choose_membership(data.user_count(), data.item_count(), data.positive_count(),
                                                budget_bytes))};
}

core::positives_view positives_index::view() const {
  if (!is_built()) {
    const std::lock_guard lock(owner_->mutex);
    if (!is_built()) owner_->build(data_, form_, {});
  }
  return owner_->view;
}

bool positives_index::is_built() const { return owner_->is_built.load(std::memory_order_acquire); }

std::uint64_t positives_index::memory_bytes() const {
  if (!is_built()) return 0;
  return owner_->user_samples.size_bytes() + owner_->bitset_words.size_bytes() + owner_->filter_words.size_bytes();
}

}  // namespace negpipe

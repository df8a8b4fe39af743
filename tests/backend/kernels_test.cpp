// Every kernel set against core, for shapes that the backend contract suite does not reach: vector ends, rejected
// candidates only, and offsets past 32 bits.
#include "kernels.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu_backend.hpp"
#include "equality/reference_columns.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

constexpr core::membership every_form[] = {core::membership::bitset, core::membership::bloom_filter,
                                           core::membership::sorted_search};

positives_index index_of(const dataset& data, core::membership form) {
  return positives_index(data, default_bitset_budget_bytes, {}, form);
}

core::training_pointers pointers_of(const training_columns& columns) {
  return {columns.users.data(), columns.items.data(), columns.items.type(), columns.labels.data(), nullptr};
}

void expect_points(const core::training_plan& plan, const core::positives_view& view, std::uint64_t first,
                   std::uint64_t count) {
  const core::cycle_key key = make_cycle_key(plan, 3);
  for (const item_type width : {item_type::uint16, item_type::int32}) {
    if (width < item_type_for(view.item_count)) continue;
    point_buffer wanted(count, width, false);
    write_reference_points(plan, key, view, first, count, wanted.columns());
    for (const kernel_set& kernels : supported_kernels()) {
      point_buffer found(count, width, false);
      kernels.fill_points(plan, key, view, first, count, pointers_of(found.columns()));
      ASSERT_EQ(found.first_difference(wanted), "") << kernels.name << ", positions " << first << " + " << count;
    }
  }
}

void expect_cycle(const dataset& data, std::uint32_t negatives) {
  const training_plan plan = plan_training(data, {5, negatives, 1, 100, padding_policy::drop});
  for (const core::membership form : every_form) {
    expect_points(plan, index_of(data, form).view(), 0, plan.point_count);
    if (testing::Test::HasFatalFailure()) return;
  }
}

/// Zeros; only touched pages take memory.
template <typename T>
class sparse_array {
 public:
  explicit sparse_array(std::uint64_t count) : bytes_(count * sizeof(T)) {
    void* const raw =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return;
    data_ = static_cast<T*>(raw);
    (void)::madvise(raw, bytes_, MADV_NOHUGEPAGE);
  }
  ~sparse_array() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  sparse_array(const sparse_array&) = delete;
  sparse_array& operator=(const sparse_array&) = delete;

  T* data() { return data_; }

 private:
  std::uint64_t bytes_;
  T* data_ = nullptr;
};

core::training_plan plan_of(std::uint64_t positives, std::uint32_t negatives, std::int32_t item_count) {
  core::training_plan plan{};
  plan.seed = 11;
  plan.positive_count = positives;
  plan.negatives = negatives;
  plan.epochs = 1;
  plan.point_count = positives * (negatives + 1ULL);
  plan.batch_size = 1000;
  plan.batch_count = core::ceil_div(plan.point_count, plan.batch_size);
  plan.pad = core::padding::resample;
  plan.by_positives = core::divider64::make(positives);
  plan.item_draw = core::bounded32::make(static_cast<std::uint32_t>(item_count));
  plan.padding_draw = core::bounded64::make(plan.point_count);
  return plan;
}

}  // namespace

TEST(kernels, ranges_of_any_length_equal_core) {
  const dataset data = edge_dataset();
  const training_plan plan = plan_training(data, {5, 4, 1, 100, padding_policy::drop});
  for (const core::membership form : every_form) {
    const positives_index index = index_of(data, form);
    for (std::uint64_t first = 0; first < 6; ++first) {
      for (std::uint64_t count = 0; count <= 66; ++count) {
        expect_points(plan, index.view(), first, count);
        expect_points(plan, index.view(), first + 128, count + 220);  // around the end of a block
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(kernels, weighted_points_equal_core) {
  const dataset data = edge_dataset();
  std::vector<std::uint32_t> values;
  for (std::uint32_t i = 0; i < 97; ++i) values.push_back(i * i % 31 * 1000 + 1);
  const dataset_weights weights(data, item_weights(values));
  for (const std::uint32_t epochs : {1U, 3U}) {
    training_plan plan = plan_training(data, {5, 4, epochs, 100, padding_policy::drop});
    plan.weights = *weights.draw();
    for (const core::membership form : every_form) {
      expect_points(plan, index_of(data, form).view(), 0, plan.point_count);
    }
  }
}

/// Weights of which some are 0 and one is most of the sum.
item_weights uneven_weights(std::uint32_t item_count) {
  std::vector<std::uint32_t> values;
  for (std::uint32_t i = 0; i < item_count; ++i) values.push_back(i % 7 == 3 ? 0 : i * i % 31 * 1000 + 1);
  values[2] = 3'000'000;
  return item_weights(std::move(values));
}

void expect_weighted_rows(const dataset& data, const evaluation_options& options) {
  const dataset_weights weights = dataset_weights::for_evaluation(data, options.weights);
  evaluation_plan plan = plan_evaluation(data, options, 5);
  plan.weights = *weights.draw();
  row_buffer wanted(plan.element_count(), item_type::int32);
  write_reference_rows(plan, index_of(data, core::membership::sorted_search).view(), 0, plan.user_count,
                       wanted.columns());
  for (const core::membership form : every_form) {
    for (const kernel_set& kernels : supported_kernels()) {
      const auto filler = make_cpu_backend(index_of(data, form), cpu_backend_options{1, kernels});
      row_buffer found(plan.element_count(), item_type::int32);
      filler->fill_evaluation(plan, 0, plan.user_count, found.columns());
      ASSERT_EQ(found.first_difference(wanted), "") << kernels.name << ", " << plan.negatives << " negatives";
    }
  }
}

TEST(kernels, weighted_rows_equal_core) {
  // Long rows leave little weight: most of their negatives are drawn by rank outside the positives and the row.
  for (const dataset& data : {edge_dataset(), random_dataset({0, 3, 280, 299, 150}, 300, 2)}) {
    const item_weights weights = uneven_weights(static_cast<std::uint32_t>(data.item_count()));
    for (const std::uint32_t negatives : {1U, 4U, 50U, 83U, 250U}) {
      for (const bool mlperf : {false, true}) {
        if (!mlperf && negatives >= static_cast<std::uint32_t>(data.item_count()) * 6 / 7) continue;
        expect_weighted_rows(data, {.negatives = negatives, .batch_size = negatives + 1ULL, .mlperf = mlperf,
                                    .weights = weights});
        if (HasFatalFailure()) return;
      }
      expect_weighted_rows(data, {.negatives = negatives, .batch_size = negatives + 1ULL,
                                  .infeasible = infeasible_policy::fewer, .weights = weights});
      if (HasFatalFailure()) return;
    }
  }
}

TEST(kernels, users_with_all_items_but_one_equal_core) {
  // Nearly every candidate is refused at every attempt: whole blocks are redrawn, and most draws end by rank.
  expect_cycle(random_dataset({999, 999, 998, 999, 999, 999}, 1000, 3), 4);
  const dataset data = random_dataset({999, 0, 990}, 1000, 3);
  const evaluation_plan plan = plan_evaluation(data, {700, 701, true}, 5);
  for (const core::membership form : every_form) {
    const positives_index index = index_of(data, form);
    for (std::int32_t user = 0; user < data.user_count(); ++user) {
      row_buffer wanted(plan.row_length(), item_type::int32);
      write_reference_rows(plan, index.view(), static_cast<std::uint64_t>(user), 1, wanted.columns());
      const auto* items = static_cast<const std::int32_t*>(wanted.columns().items.data());
      for (const kernel_set& kernels : supported_kernels()) {
        std::vector<std::int32_t> found(plan.negatives + 1, -7);
        kernels.fill_negatives(plan, index.view(), user_id{user}, found.data());
        ASSERT_TRUE(std::equal(items + 1, items + plan.row_length(), found.begin())) << kernels.name;
        ASSERT_EQ(found.back(), -7) << kernels.name << " wrote past the row";
      }
    }
  }
}

TEST(kernels, positives_of_distant_users_equal_core) {
  // Users without positives lie between those of one sample of 32 positives, so the search between two samples is long.
  std::vector<std::int32_t> degrees;
  for (std::int32_t i = 0; i < 300; ++i) {
    degrees.push_back(1 + i % 3);
    degrees.insert(degrees.end(), static_cast<std::size_t>(i % 7 == 0 ? 40 : i % 2), 0);
  }
  expect_cycle(random_dataset(degrees, 50, 9), 2);
}

TEST(kernels, rows_around_the_vector_width_equal_core) {
  for (const std::int32_t most : {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65}) {
    expect_cycle(random_dataset({most, most - 1, 0, most, 1, 30}, 80, 4), 6);
    if (HasFatalFailure()) return;
  }
}

TEST(kernels, positives_past_2_to_the_32_equal_core) {
  constexpr std::uint64_t positives = (1ULL << 33) + 100;
  constexpr std::int32_t items = 97;
  const std::vector<std::int64_t> offsets{0, 1LL << 31, (1LL << 32) + 50, static_cast<std::int64_t>(positives)};
  sparse_array<std::int32_t> positive_items(positives);
  sparse_array<std::int32_t> samples(core::csr_view::sample_count(positives));
  if (positive_items.data() == nullptr || samples.data() == nullptr) GTEST_SKIP() << "no room for 36 GB of addresses";
  const std::vector<std::uint32_t> bits{0x0F0F0F0F, 1, 2, 3, 0xF0F0F0F0, 7, 0, 9, 0x12345678, 0, 0xFF, 0};
  core::positives_view view{};
  view.csr = {offsets.data(), positive_items.data(), samples.data()};
  view.bitset = {bits.data(), 4};
  view.user_count = 3;
  view.item_count = items;
  view.form = core::membership::bitset;
  const core::training_plan plan = plan_of(positives, 1, items);
  const core::cycle_key key = make_cycle_key(plan, 3);
  constexpr std::uint64_t count = 700;
  const auto user_of = [&](std::uint64_t p) {
    const auto next = std::upper_bound(offsets.begin(), offsets.end() - 1, static_cast<std::int64_t>(p));
    return static_cast<std::int32_t>(next - offsets.begin() - 1);
  };
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1} << 32, plan.point_count - count}) {
    std::uint64_t past = 0;
    for (std::uint64_t position = first; position < first + count; ++position) {
      const std::uint64_t p = core::origin_of(plan, key.order(position)).positive;
      const std::uint64_t sample = p >> core::csr_view::sample_shift;
      samples.data()[sample] = user_of(sample << core::csr_view::sample_shift);
      samples.data()[sample + 1] = user_of(std::min(positives - 1, (sample + 1) << core::csr_view::sample_shift));
      positive_items.data()[p] = static_cast<std::int32_t>(1 + p % (items - 1));
      past += p >> 32 != 0 ? 1 : 0;
    }
    ASSERT_GT(past, 200U);
    expect_points(plan, view, first, count);
    if (HasFatalFailure()) return;
  }
}

TEST(kernels, bitsets_past_2_to_the_32_words_equal_core) {
  constexpr std::int32_t items = 1 << 25;
  constexpr std::int32_t users = 5000;
  const dataset data = random_dataset(std::vector<std::int32_t>(users, 2), 60'000, 1);
  const positives_index index = index_of(data, core::membership::sorted_search);
  const std::uint32_t row_words = core::bitset_view::row_words(items);
  sparse_array<std::uint32_t> words(std::uint64_t{users} * row_words);
  if (words.data() == nullptr) GTEST_SKIP() << "no room for 21 GB of addresses";
  core::positives_view view = index.view();
  view.item_count = items;
  view.bitset = {words.data(), row_words};
  view.form = core::membership::bitset;
  const core::training_plan plan = plan_of(data.positive_count(), 4, items);
  const core::cycle_key key = make_cycle_key(plan, 3);
  constexpr std::uint64_t count = 700;
  for (std::uint64_t position = 0; position < count; ++position) {  // marks every first candidate as a positive
    const core::point drawn = core::point_at(plan, key, view, position, core::philox_source{plan.seed});
    if (drawn.label == 1) continue;
    const auto item = static_cast<std::uint32_t>(negpipe::index(drawn.item));
    words.data()[std::uint64_t{row_words} * static_cast<std::uint32_t>(negpipe::index(drawn.user)) + item / 32] |=
        1U << (item % 32);
  }
  expect_points(plan, view, 0, count);
}

}  // namespace negpipe::test

// The body of the fill kernel on the host: four neighbours at once, packed positives and the Bloom filter equal
// point_at, the rows and the sorted search.
#include "neighbours.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "negpipe/core/bloom_filter.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::cuda {
namespace {

using namespace core;

template <typename Layout>
std::vector<packed_word> packed(const csr_view& csr, std::uint64_t positive_count) {
  std::vector<packed_word> words(Layout::word_count(positive_count));
  for (std::uint64_t w = 0; w < words.size(); ++w) words[w] = pack_positives<Layout>(csr, positive_count, w);
  return words;
}

template <typename Layout>
void expect_packed(const dataset& data) {
  ASSERT_TRUE(Layout::covers(data.user_count(), data.item_count()));
  const positives_index index(data, 0);
  const csr_view csr = index.view().csr;
  const auto words = packed<Layout>(csr, data.positive_count());
  constexpr std::uint32_t item_mask = ~0U >> (32 - Layout::item_bits);
  std::uint64_t regular = 0;
  for (std::uint64_t p = 0; p < data.positive_count(); ++p) {
    const packed_entry<Layout> entry{words[p / Layout::per_word], static_cast<std::uint32_t>(p % Layout::per_word)};
    if (!entry.regular()) continue;
    ++regular;
    ASSERT_EQ(entry.user(), csr.user_of(p)) << "positive " << p;
    ASSERT_EQ(static_cast<std::uint32_t>(entry.item()) & item_mask,
              static_cast<std::uint32_t>(csr.positive_items[p]))
        << "positive " << p;
  }
  EXPECT_GT(regular, data.positive_count() / 2);
}

template <typename Layout>
class packed_positives : public testing::Test {};
using layouts = testing::Types<narrow_layout, wide_layout>;
TYPED_TEST_SUITE(packed_positives, layouts);

TYPED_TEST(packed_positives, hold_every_positive_of_many_shapes) {
  for (const std::int32_t item_count : {97, 1000, 65'536, 65'537, 1'000'000}) {
    if (!TypeParam::covers(12, item_count)) continue;
    expect_packed<TypeParam>(test::random_dataset({0, 1, 20, 90, 2, 1, 1, 45, 0, 0, 96, 7}, item_count, 3));
  }
  expect_packed<TypeParam>(test::make_dataset({{65'535}, {0}}, {1, 1}, 65'536));
  expect_packed<TypeParam>(test::random_dataset({1, 1}, 2, 1));
  expect_packed<TypeParam>(test::random_dataset(std::vector<std::int32_t>(3000, 1), 50, 1));
}

TYPED_TEST(packed_positives, a_word_that_skips_a_user_without_positives_is_irregular) {
  const dataset data = test::make_dataset({{1}, {}, {2}}, {0, 0, 0}, 5);
  const positives_index index(data, 0);
  EXPECT_FALSE((packed_entry<TypeParam>{pack_positives<TypeParam>(index.view().csr, 2, 0), 0}.regular()));
  const dataset dense = test::make_dataset({{1}, {3}, {2}}, {0, 0, 0}, 5);
  const positives_index dense_index(dense, 0);
  EXPECT_TRUE((packed_entry<TypeParam>{pack_positives<TypeParam>(dense_index.view().csr, 3, 0), 0}.regular()));
}

TYPED_TEST(packed_positives, the_last_user_of_a_layout_fits_beside_all_steps) {
  constexpr std::int32_t last = TypeParam::max_users - 1;
  EXPECT_TRUE(TypeParam::covers(TypeParam::max_users, 1));
  EXPECT_FALSE(TypeParam::covers(TypeParam::max_users + 1, 1));
  const std::uint32_t steps = (1U << TypeParam::step_bits) - 1;
  const packed_word word{{static_cast<std::uint32_t>(last - static_cast<std::int32_t>(TypeParam::step_bits))
                              << TypeParam::step_bits | steps,
                          0, 0, 0}};
  for (std::uint32_t slot = 0; slot < TypeParam::per_word; ++slot) {
    const packed_entry<TypeParam> entry{word, slot};
    EXPECT_TRUE(entry.regular());
    EXPECT_EQ(negpipe::index(entry.user()), last - static_cast<std::int32_t>(TypeParam::step_bits - slot));
  }
}

TEST(packed_layouts, narrow_words_hold_items_of_16_bits_only) {
  EXPECT_TRUE(narrow_layout::covers(5, 65'536));
  EXPECT_FALSE(narrow_layout::covers(5, 65'537));
  EXPECT_TRUE(wide_layout::covers(5, 0x7FFFFFFF));
}

// No missed pair and few false positives, at a density of users and items like that of real data.
TEST(bloom_filter, misses_no_pair_and_has_few_false_positives) {
  constexpr std::int32_t users = 400;
  constexpr std::int32_t items = 3000;
  const dataset data = test::random_dataset(std::vector<std::int32_t>(users, 150), items, 5);
  const positives_index index(data, 0);
  const csr_view csr = index.view().csr;
  const std::uint32_t word_count = bloom_filter_view::words_for(data.positive_count());
  std::vector<std::uint32_t> words(word_count);
  for (std::uint64_t p = 0; p < data.positive_count(); ++p) {
    const auto at = bloom_filter_view::slot_of(csr.user_of(p), csr.positive_items[p], word_count);
    words[at.word] |= at.mask();
  }
  const bloom_filter_view filter{words.data(), word_count};
  std::uint64_t negatives = 0;
  std::uint64_t false_alarms = 0;
  for (std::int32_t u = 0; u < users; ++u) {
    for (std::int32_t i = 0; i < items; ++i) {
      const auto at = filter.slot_of(user_id{u}, i);
      const bool found = (at.both_in(words[at.word]) & 1U) != 0;
      if (csr.row(user_id{u}).contains(i)) {
        ASSERT_TRUE(found);
      } else {
        ++negatives;
        false_alarms += found ? 1 : 0;
      }
    }
  }
  EXPECT_LT(false_alarms, negatives / 40) << false_alarms << " of " << negatives;
}

struct exact {
  positives_view view;
  std::uint32_t ask(user_id user, std::int32_t item, std::uint32_t label) const {
    return label == 0 && view.contains(user, item) ? 1 : 0;
  }
};

template <typename Position, typename Layout>
void expect_neighbours(const dataset& data, const training_options& options, std::uint64_t first,
                       std::uint64_t count) {
  const positives_index index(data);
  const positives_view view = index.view();
  const training_plan plan = plan_training(data, options);
  ASSERT_TRUE(neighbour_plan<Position>::covers(plan));
  const auto words = packed<Layout>(view.csr, data.positive_count());
  const auto prepared = neighbour_plan<Position>::make(plan);
  const cycle_key key = make_cycle_key(plan, 3);
  const philox_source source{plan.seed};
  constexpr std::uint32_t item_mask = ~0U >> (32 - Layout::item_bits);
  std::uint64_t unsettled = 0;
  for (std::uint64_t p = first; p < first + count; p += 4) {
    const auto made = points_at<Layout>(prepared, plan.item_draw, key, words.data(), view.csr, exact{view},
                                        static_cast<Position>(p / 4), source);
    for (std::uint32_t j = 0; j < 4; ++j) {
      const point wanted = point_at(plan, key, view, p + j, source);
      ASSERT_EQ(made.user[j], negpipe::index(wanted.user)) << "position " << p + j;
      ASSERT_EQ(made.labels >> 8 * j & 0xFFU, static_cast<std::uint32_t>(wanted.label));
      const std::uint32_t item = static_cast<std::uint32_t>(made.item[j]) & item_mask;
      if ((made.unsettled >> j & 1U) != 0) {
        ++unsettled;
        ASSERT_TRUE(view.contains(wanted.user, static_cast<std::int32_t>(item)));
      } else {
        ASSERT_EQ(item, static_cast<std::uint32_t>(negpipe::index(wanted.item)))
            << "position " << p + j;
      }
    }
  }
  EXPECT_LT(unsettled, count / 2);
}

template <typename Position>
void expect_neighbours(const dataset& data, const training_options& options, std::uint64_t first,
                       std::uint64_t count) {
  expect_neighbours<Position, narrow_layout>(data, options, first, count);
  expect_neighbours<Position, wide_layout>(data, options, first, count);
}

TEST(neighbours, equal_point_at) {
  const dataset data = test::random_dataset({700, 0, 1, 2000, 3000, 20, 0, 9000}, 12'000, 5);
  const std::uint64_t positives = data.positive_count();
  expect_neighbours<std::uint32_t>(data, {5, 4, 1, 1000, padding_policy::resample}, 0, positives * 5 / 4 * 4);
  expect_neighbours<std::uint32_t>(data, {6, 1, 20, 1000, padding_policy::resample}, 4000, 100'000);
  expect_neighbours<std::uint64_t>(data, {7, 4, 1, 1000, padding_policy::mask}, 0, positives * 5 / 4 * 4);
}

TEST(neighbours, equal_point_at_past_32_bits) {
  const dataset data = test::random_dataset({700, 0, 1, 2000, 3000, 20, 0, 9000}, 12'000, 5);
  const auto epochs = static_cast<std::uint32_t>((1ULL << 34) / data.positive_count());
  for (const std::uint64_t first : {0ULL, (1ULL << 31) - 400, (1ULL << 32) - 400, 1ULL << 34}) {
    expect_neighbours<std::uint64_t>(data, {5, 4, epochs, 1000, padding_policy::resample}, first, 4000);
  }
}

// With 3/4 of 2^31 items, one word in four is rejected. The draw is left as if the first candidate were a positive of
// the user, and its item column holds such a positive.
TEST(neighbours, a_rejected_word_stays_unsettled) {
  const dataset data = test::random_dataset({700, 0, 1, 2000, 3000, 20, 0, 9000}, 12'000, 5);
  const positives_index index(data, 0);  // no bitsets: candidates lie past their rows
  training_plan plan = plan_training(data, {5, 4, 1, 1000, padding_policy::resample});
  plan.item_draw = bounded32::make(3U << 29);
  const auto words = packed<wide_layout>(index.view().csr, data.positive_count());
  const auto prepared = neighbour_plan<std::uint32_t>::make(plan);
  const cycle_key key = make_cycle_key(plan, 0);
  const philox_source source{plan.seed};
  std::uint64_t rejected = 0;
  for (std::uint32_t quad = 0; quad < 5000; ++quad) {
    const auto made = points_at<wide_layout>(prepared, plan.item_draw, key, words.data(), index.view().csr,
                                             exact{index.view()}, quad, source);
    const auto block = source(make_counter(tag::train_draw, 0, quad, 0));
    for (std::uint32_t j = 0; j < 4; ++j) {
      std::uint32_t candidate = 0;
      if ((made.labels >> 8 * j & 1U) != 0 || plan.item_draw(block.word[j], candidate)) continue;
      ++rejected;
      ASSERT_EQ(made.unsettled >> j & 1U, 1U);
      ASSERT_TRUE(index.view().contains(user_id{made.user[j]}, made.item[j]));
    }
  }
  EXPECT_GT(rejected, 3000U);
}

TEST(neighbours, do_not_cover_small_and_huge_plans) {
  const dataset data = test::edge_dataset();
  const training_plan small = plan_training(data, {5, 4, 1, 10, padding_policy::resample});
  EXPECT_FALSE(neighbour_plan<std::uint32_t>::covers(small));
  EXPECT_FALSE(neighbour_plan<std::uint64_t>::covers(small));
  const auto epochs = static_cast<std::uint32_t>((1ULL << 31) / (5 * data.positive_count()) + 1);
  const training_plan large = plan_training(data, {5, 4, epochs, 10, padding_policy::resample});
  EXPECT_FALSE(neighbour_plan<std::uint32_t>::covers(large));
  EXPECT_TRUE(neighbour_plan<std::uint64_t>::covers(large));
}

}  // namespace
}  // namespace negpipe::cuda

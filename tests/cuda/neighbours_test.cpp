// The body of the fill kernel, on the host: four neighbours at once, packed positives and the pair filter give what
// point_at, the rows and the sorted search give.
#include <gtest/gtest.h>

#include <vector>

#include "negpipe/core/neighbours.hpp"
#include "negpipe/core/pair_filter.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::core {
namespace {

std::vector<packed_word> packed(const packed_layout& layout, const csr_view& csr, std::uint64_t positive_count) {
  std::vector<packed_word> words(layout.word_count(positive_count));
  for (std::uint64_t w = 0; w < words.size(); ++w) words[w] = pack_positives(layout, csr, positive_count, w);
  return words;
}

void expect_packed(const dataset& data) {
  const positives_index index(data, 0);
  const csr_view csr = index.view().csr;
  const auto layout = packed_layout::make(data.user_count(), data.item_count());
  const auto words = packed(layout, csr, data.positive_count());
  std::uint64_t regular = 0;
  for (std::uint64_t p = 0; p < data.positive_count(); ++p) {
    const packed_entry entry{words[p / layout.per_word], static_cast<std::uint32_t>(p % layout.per_word)};
    if (!entry.regular()) continue;
    ++regular;
    ASSERT_EQ(entry.user(layout), csr.user_of(p)) << "positive " << p;
    ASSERT_EQ(entry.item(layout), csr.positive_items[p]) << "positive " << p;
  }
  EXPECT_GT(regular, data.positive_count() / 2);
}

TEST(packed_positives, hold_every_positive_of_many_shapes) {
  for (const std::int32_t item_count : {97, 1000, 26'744, 65'537, 1'000'000}) {
    expect_packed(test::random_dataset({0, 1, 20, 90, 2, 1, 1, 45, 0, 0, 96, 7}, item_count, 3));
  }
  expect_packed(test::random_dataset({1, 1}, 2, 1));
  expect_packed(test::random_dataset(std::vector<std::int32_t>(3000, 1), 50, 1));
}

TEST(packed_positives, a_word_over_a_user_without_positives_is_irregular) {
  const dataset data = test::make_dataset({{1}, {}, {2}}, {0, 0, 0}, 5);
  const positives_index index(data, 0);
  const auto layout = packed_layout::make(3, 5);
  EXPECT_FALSE((packed_entry{pack_positives(layout, index.view().csr, 2, 0), 0}.regular()));
  const dataset dense = test::make_dataset({{1}, {3}, {2}}, {0, 0, 0}, 5);
  const positives_index dense_index(dense, 0);
  EXPECT_TRUE((packed_entry{pack_positives(layout, dense_index.view().csr, 3, 0), 0}.regular()));
}

TEST(packed_positives, every_layout_fits_its_word) {
  for (unsigned u = 1; u <= 31; ++u) {
    for (unsigned i = 1; i <= 31; ++i) {
      const auto layout = packed_layout::make(static_cast<std::int32_t>((1ULL << u) - 1),
                                              static_cast<std::int32_t>((1ULL << i) - 1));
      EXPECT_GE(layout.per_word, u < 31 ? 2U : 1U);
      EXPECT_LE(layout.user_bits + layout.per_word - 1, 31U);
      EXPECT_LE(layout.low_items * layout.item_bits, 32U);
      EXPECT_LE((layout.per_word - layout.low_items) * layout.item_bits, 64U);
    }
  }
}

// Few false alarms, no missed pair, at the density of users and items that fills it as real data does.
TEST(pair_filter, misses_no_pair_and_is_rarely_wrong) {
  constexpr std::int32_t users = 400;
  constexpr std::int32_t items = 3000;
  const dataset data = test::random_dataset(std::vector<std::int32_t>(users, 150), items, 5);
  const positives_index index(data, 0);
  const csr_view csr = index.view().csr;
  const std::uint32_t word_count = pair_filter_view::words_for(data.positive_count());
  std::vector<std::uint32_t> words(word_count);
  for (std::uint64_t p = 0; p < data.positive_count(); ++p) {
    const auto at = pair_filter_view::place_of(csr.user_of(p), csr.positive_items[p], word_count);
    words[at.word] |= at.bits;
  }
  const pair_filter_view filter{words.data(), word_count};
  std::uint64_t negatives = 0;
  std::uint64_t false_alarms = 0;
  for (std::int32_t u = 0; u < users; ++u) {
    for (std::int32_t i = 0; i < items; ++i) {
      const bool found = filter.may_contain(user_id{u}, i);
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
  bool operator()(user_id user, std::int32_t item) const { return view.contains(user, item); }
};

template <typename Position>
void expect_neighbours(const dataset& data, const training_options& options, std::uint64_t first,
                       std::uint64_t count) {
  const positives_index index(data);
  const positives_view view = index.view();
  const training_plan plan = plan_training(data, options);
  const auto layout = packed_layout::make(data.user_count(), data.item_count());
  ASSERT_TRUE(neighbour_plan<Position>::covers(plan, layout));
  const auto words = packed(layout, view.csr, data.positive_count());
  const auto prepared = neighbour_plan<Position>::make(plan, layout);
  const cycle_key key = make_cycle_key(plan, 3);
  const philox_source source{plan.seed};
  std::uint64_t unsettled = 0;
  for (std::uint64_t p = first; p < first + count; p += 4) {
    const auto made = points_at(prepared, key, packed_view{words.data(), layout}, view.csr, exact{view},
                                static_cast<Position>(p), source);
    for (std::uint32_t j = 0; j < 4; ++j) {
      const point wanted = point_at(plan, key, view, p + j, source);
      ASSERT_EQ(made.user[j], negpipe::index(wanted.user)) << "position " << p + j;
      ASSERT_EQ(made.positive >> j & 1U, static_cast<std::uint32_t>(wanted.label));
      if ((made.unsettled >> j & 1U) != 0) {
        ++unsettled;
      } else {
        ASSERT_EQ(made.item[j], negpipe::index(wanted.item)) << "position " << p + j;
      }
    }
  }
  EXPECT_LT(unsettled, count / 2);
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

TEST(neighbours, small_and_huge_plans_are_left_to_point_at) {
  const dataset data = test::edge_dataset();
  const auto layout = packed_layout::make(data.user_count(), data.item_count());
  const training_plan small = plan_training(data, {5, 4, 1, 10, padding_policy::resample});
  EXPECT_FALSE(neighbour_plan<std::uint32_t>::covers(small, layout));
  EXPECT_FALSE(neighbour_plan<std::uint64_t>::covers(small, layout));
  const auto epochs = static_cast<std::uint32_t>((1ULL << 31) / (5 * data.positive_count()) + 1);
  const training_plan large = plan_training(data, {5, 4, epochs, 10, padding_policy::resample});
  EXPECT_FALSE(neighbour_plan<std::uint32_t>::covers(large, layout));
  EXPECT_TRUE(neighbour_plan<std::uint64_t>::covers(large, layout));
}

}  // namespace
}  // namespace negpipe::core

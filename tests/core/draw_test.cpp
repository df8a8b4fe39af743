// Draws use the documented random words, never return a positive, and make a bounded number of attempts.
#include "negpipe/core/draw.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "negpipe/core/philox.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::core {
namespace {

constexpr draw_stream stream{tag::train_draw, tag::train_fallback, 3};

/// Records every requested counter.
struct recording_source {
  philox_source source;
  std::vector<counter>* asked;

  random_block operator()(counter c) const {
    asked->push_back(c);
    return source(c);
  }
};

/// Always returns the same word.
struct constant_source {
  std::uint32_t word;
  random_block operator()(counter) const { return {{word, word, word, word}}; }
};

TEST(draw, never_returns_a_positive_in_any_form) {
  for (const std::int32_t items : {41, 97, 1000}) {
    const auto data = test::random_positives(test::edge_degrees(items), items, 7);
    const auto bits = data.view(membership::bitset);
    const auto search = data.view(membership::sorted_search);
    const auto filter = data.view(membership::bloom_filter);
    const auto item_draw = bounded32::make(static_cast<std::uint32_t>(items));
    for (std::int32_t u = 0; u < bits.user_count; ++u) {
      const user_id user{u};
      for (std::uint64_t position = 0; position < 4000; ++position) {
        const std::int32_t item = draw_negative(bits, user, item_draw, stream, position, philox_source{42});
        ASSERT_GE(item, 0);
        ASSERT_LT(item, items);
        ASSERT_FALSE(search.contains(user, item)) << "user " << u << ", position " << position;
        ASSERT_EQ(item, draw_negative(search, user, item_draw, stream, position, philox_source{42}));
        ASSERT_EQ(item, draw_negative(filter, user, item_draw, stream, position, philox_source{42}));
      }
    }
  }
}

TEST(draw, four_neighbours_use_the_words_of_one_block) {
  const auto data = test::random_positives({0}, 1000, 1);
  const auto item_draw = bounded32::make(1000);
  for (std::uint64_t position : {0ULL, 1ULL, 2ULL, 3ULL, 4ULL, 7ULL, (1ULL << 34) + 1, (1ULL << 60) + 2}) {
    std::vector<counter> asked;
    const std::int32_t item =
        draw_negative(data.view(), user_id{0}, item_draw, stream, position, recording_source{{42}, &asked});
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].word[0], 3U);
    EXPECT_EQ(asked[0].word[1], 1U << 24);
    EXPECT_EQ(static_cast<std::uint64_t>(asked[0].word[3]) << 32 | asked[0].word[2], position / 4);
    const std::uint32_t word = philox_source{42}(make_counter(tag::train_draw, 3, position / 4, 0)).word[position % 4];
    EXPECT_EQ(item, static_cast<std::int32_t>(mul_hi(word, 1000)));
  }
}

TEST(draw, draws_by_rank_after_max_attempts) {
  const auto data = test::random_positives({999}, 1000, 1);
  const std::int32_t only = data.view().heldout[0];
  for (std::uint64_t position = 0; position < 50; ++position) {
    std::vector<counter> asked;
    const std::int32_t item =
        draw_negative(data.view(), user_id{0}, bounded32::make(1000), stream, position, recording_source{{42}, &asked});
    EXPECT_EQ(item, only) << "the one item left is the held-out one";
    ASSERT_LE(asked.size(), max_draw_attempts + 1);
    for (std::uint32_t a = 0; a < asked.size(); ++a) {
      const bool by_rank = a == max_draw_attempts;
      EXPECT_EQ(asked[a].word[1], by_rank ? 2U << 24 : (1U << 24) + a);
      EXPECT_EQ(asked[a].word[2], by_rank ? position : position / 4);
    }
  }
}

// With n = 3 * 2^30, a fair draw must reject the word 0.
TEST(draw, a_rejected_word_costs_an_attempt) {
  std::uint32_t value = 0;
  EXPECT_FALSE(bounded32::make(3U << 30)(0, value));
  EXPECT_TRUE(bounded32::make(3U << 30)(1, value));
  const auto data = test::random_positives({0}, 1000, 1);
  std::vector<counter> asked;
  struct zero_then_real {
    recording_source source;
    random_block operator()(counter c) const {
      const random_block block = source(c);
      return c.word[1] == 1U << 24 ? random_block{{0, 0, 0, 0}} : block;
    }
  };
  draw_negative(data.view(), user_id{0}, bounded32::make(1001), stream, 0, zero_then_real{{{42}, &asked}});
  EXPECT_EQ(asked.size(), 2U);
}

TEST(draw, by_rank_reaches_the_first_and_the_last_item_left) {
  for (const std::int32_t items : {41, 97}) {
    const auto data = test::random_positives(test::edge_degrees(items), items, 9);
    for (std::int32_t u = 0; u < data.view().user_count; ++u) {
      const user_id user{u};
      const item_row row = data.view().csr.row(user);
      const std::uint32_t left = static_cast<std::uint32_t>(items) - row.count;
      const auto item_draw = bounded32::make(static_cast<std::uint32_t>(items));
      EXPECT_EQ(draw_outside(data.view(), user, item_draw, stream, 5, constant_source{~0U}), row.kth_absent(left - 1));
      EXPECT_EQ(draw_outside(data.view(), user, item_draw, stream, 5, constant_source{100}), row.kth_absent(0));
    }
  }
}

}  // namespace
}  // namespace negpipe::core

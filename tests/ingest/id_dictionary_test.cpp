#include "id_dictionary.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <unordered_map>

namespace negpipe::ingest {
namespace {

TEST(id_dictionary, numbers_ids_by_first_appearance) {
  id_dictionary ids(id_kind::number);
  EXPECT_EQ(ids.add(std::int64_t{70}), 0);
  EXPECT_EQ(ids.add(std::int64_t{-5}), 1);
  EXPECT_EQ(ids.add(std::int64_t{70}), 0);
  EXPECT_EQ(ids.add(std::numeric_limits<std::int64_t>::min()), 2);
  EXPECT_EQ(ids.size(), 3);
  EXPECT_EQ(ids.number(1), -5);
}

TEST(id_dictionary, keeps_texts_apart) {
  id_dictionary ids(id_kind::text);
  EXPECT_EQ(ids.add(std::string_view("7")), 0);
  EXPECT_EQ(ids.add(std::string_view("007")), 1);
  EXPECT_EQ(ids.add(std::string_view("")), 2);
  EXPECT_EQ(ids.add(std::string_view("\0", 1)), 3);
  EXPECT_EQ(ids.add(std::string_view("007")), 1);
  EXPECT_EQ(ids.text(1), "007");
}

// Enough ids for the table to grow many times, and multiples of a large power of two, which collide in a weak hash.
TEST(id_dictionary, agrees_with_a_standard_map_while_it_grows) {
  id_dictionary numbers(id_kind::number);
  id_dictionary texts(id_kind::text);
  std::unordered_map<std::int64_t, std::int32_t> expected;
  for (std::int64_t i = 0; i < 200'000; ++i) {
    const std::int64_t id = (i * 48'271 % 65'537) << 32;
    const auto number = static_cast<std::int32_t>(expected.size());
    const auto [entry, added] = expected.try_emplace(id, number);
    ASSERT_EQ(numbers.add(id), entry->second);
    ASSERT_EQ(texts.add(std::string_view(std::to_string(id))), entry->second);
  }
  ASSERT_EQ(expected.size(), 65'537U);
}

TEST(id_dictionary, adds_all_ids_of_another) {
  for (const id_kind kind : {id_kind::number, id_kind::text}) {
    id_dictionary all(kind);
    id_dictionary more(kind);
    const auto add = [&](id_dictionary& to, std::int64_t id) {
      if (kind == id_kind::number) {
        to.add(id);
      } else {
        to.add(std::string_view(std::to_string(id)));
      }
    };
    for (const std::int64_t id : {1, 2, 3}) add(all, id);
    for (const std::int64_t id : {9, 3, 8, 1}) add(more, id);
    EXPECT_EQ(all.add_all(more), (std::vector<std::int32_t>{3, 2, 4, 0}));
    EXPECT_EQ(all.size(), 5);
  }
}

}  // namespace
}  // namespace negpipe::ingest

// Small sizes, where every order can be counted, and the Mallows kernel, which compares whole orders at any size.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "statistics/support/mallows.hpp"
#include "statistics/support/permutation_battery.hpp"
#include "statistics/support/permutation_mutants.hpp"

namespace negpipe::test {
namespace {

/// Returns the index of an order among all orders of its length: its Lehmer code as a number in factorial base.
std::uint64_t order_number(std::span<const std::uint32_t> order) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::uint64_t below = 0;
    for (std::size_t j = i + 1; j < order.size(); ++j) below += order[j] < order[i];
    number = number * (order.size() - i) + below;
  }
  return number;
}

p_value all_orders(std::uint32_t size, std::uint64_t keys, const permutation_family& family) {
  std::uint64_t orders = 1;
  for (std::uint64_t k = 2; k <= size; ++k) orders *= k;
  std::vector<std::uint64_t> counts(orders, 0);
  std::vector<std::uint32_t> image(size);
  for (std::uint64_t key = 0; key < keys; ++key) {
    family(key, image);
    ++counts[order_number(image)];
  }
  return uniform_test("orders of " + std::to_string(size), counts);
}

permutation_family tiny_network(int rounds, std::uint32_t left_radix = 0) {
  return [=](std::uint64_t key, std::span<std::uint32_t> image) {
    const auto p = mutants::tiny_network(static_cast<std::uint32_t>(image.size()), rounds, key, left_radix);
    for (std::size_t x = 0; x < image.size(); ++x) image[x] = static_cast<std::uint32_t>(p(x));
  };
}

/// The permutations of evaluation rows: the index is the user, the cycle 0.
void by_index(std::uint64_t key, std::span<std::uint32_t> image) {
  const auto p = core::permutation::make(image.size(), core::philox_source{42}, core::tag::eval_permutation, 0, key);
  for (std::size_t x = 0; x < image.size(); ++x) image[x] = static_cast<std::uint32_t>(p(x));
}

TEST(small_permutation, every_order_is_equally_likely) {
  p_values all;
  for (std::uint32_t size = 2; size <= 7; ++size) {
    all.push_back(all_orders(size, 1'000'000, core_family()));
    all.push_back(all_orders(size, 1'000'000, by_index));
  }
  EXPECT_TRUE(consistent(all));
}

TEST(small_permutation, every_one_of_40320_orders_of_8_is_equally_likely) {
  EXPECT_TRUE(consistent({all_orders(8, 8'000'000, core_family())}));
}

TEST(small_permutation, detects_networks_on_tiny_domains) {
  EXPECT_FALSE(consistent({all_orders(8, 1'000'000, tiny_network(4))}));
  EXPECT_FALSE(consistent({all_orders(7, 1'000'000, tiny_network(16, 3))})) << "3 x 3, however many rounds";
  EXPECT_FALSE(consistent({all_orders(5, 1'000'000, mutants::swap_with_any)}));
  EXPECT_FALSE(consistent({all_orders(5, 1'000'000, mutants::affine)}));
}

/// Tests that each element takes each position equally often.
p_value position_table(std::uint32_t size, std::uint64_t keys, const permutation_family& family) {
  std::vector<std::uint64_t> table(std::size_t{size} * size, 0);
  std::vector<std::uint32_t> image(size);
  for (std::uint64_t key = 0; key < keys; ++key) {
    family(key, image);
    for (std::uint32_t x = 0; x < size; ++x) ++table[x * size + image[x]];
  }
  return permutation_table_test("position x element of " + std::to_string(size), table, std::vector<double>(size, 1),
                                keys);
}

TEST(small_permutation, every_element_takes_every_position) {
  p_values all;
  for (const std::uint32_t size : {2U, 7U, 20U, 63U, 64U, 65U, 100U}) {
    all.push_back(position_table(size, 400ULL * size, core_family()));
    all.push_back(position_table(size, 400ULL * size, by_index));
    all.push_back(position_table(size, 400ULL * size, textbook_family()));
  }
  EXPECT_TRUE(consistent(all));
  EXPECT_FALSE(consistent({position_table(20, 40'000, mutants::swap_with_any)}));
  EXPECT_FALSE(consistent({position_table(65, 40'000, core_family(2))}));
}

p_values small_statistics(const permutation_family& family) {
  p_values all;
  for (const std::uint32_t size : {16U, 40U, 63U, 64U}) {
    append(all, permutation_battery(size, 40'000, family));
  }
  return all;
}

TEST(small_permutation, passes_the_battery) {
  EXPECT_TRUE(consistent(small_statistics(textbook_family())));
  EXPECT_TRUE(consistent(small_statistics(core_family())));
  EXPECT_FALSE(consistent(small_statistics(tiny_network(8))));
}

bool is_odd(std::span<const std::uint32_t> image) {
  std::vector<bool> seen(image.size(), false);
  bool odd = image.size() % 2 == 1;
  for (std::uint32_t start = 0; start < image.size(); ++start) {
    if (seen[start]) continue;
    odd = !odd;
    for (std::uint32_t x = start; !seen[x]; x = image[x]) seen[x] = true;
  }
  return odd;
}

p_values parities(std::uint32_t from, std::uint32_t to, std::uint64_t keys, const permutation_family& family) {
  p_values all;
  for (std::uint32_t size = from; size <= to; ++size) {
    std::vector<std::uint32_t> image(size);
    double odd = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
      family(key, image);
      odd += is_odd(image);
    }
    const auto trials = static_cast<double>(keys);
    all.push_back(normal_test("parity of " + std::to_string(size), (odd - trials / 2) / std::sqrt(trials / 4)));
  }
  return all;
}

TEST(parity, is_even_as_often_as_odd_at_every_size) {
  EXPECT_TRUE(consistent(parities(2, 300, 2000, core_family())));
  EXPECT_FALSE(consistent(parities(7, 7, 2000, tiny_network(16, 3)))) << "odd radices";
  EXPECT_FALSE(consistent(parities(81, 81, 2000, tiny_network(16, 9)))) << "odd radices, all permutations even";
}

TEST(mallows, closed_forms_equal_the_published_values) {
  EXPECT_NEAR(mallows_mean(5, 5), 0.135511, 1e-6);
  EXPECT_NEAR(mallows_mean(100, 5), 0.083274, 1e-6);
  EXPECT_NEAR(mallows_mean(1000, 5), 0.082199, 1e-6);
  const double deviation = std::sqrt((mallows_mean(5, 10) - std::pow(mallows_mean(5, 5), 2)) / 1e6);
  EXPECT_NEAR(2.5758 * deviation, 3.94e-4, 1e-6) << "the threshold at alpha 0.01 for a million permutations";
}

TEST(mallows, finds_the_core_uniform) {
  struct run {
    std::uint32_t size;
    std::uint64_t keys;
  };
  p_values all;
  for (const auto& [size, keys] : {run{5, 1'000'000}, run{100, 400'000}, run{1000, 40'000}}) {
    all.push_back(mmd(size, keys, core_family()));
    const permutation_family next = [](std::uint64_t key, std::span<std::uint32_t> image) {
      core_family()(key + 1, image);
    };
    all.push_back(mmd(size, keys / 2, relation(core_family(), next)));
  }
  EXPECT_TRUE(consistent(all));
}

TEST(mallows, detects_a_local_shuffle) {
  const permutation_family in_blocks = [](std::uint64_t key, std::span<std::uint32_t> image) {
    core_family()(key, image);
    std::sort(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(image.size() / 2));
  };
  EXPECT_FALSE(consistent({mmd(5, 100'000, in_blocks)}));
  EXPECT_FALSE(consistent({mmd(100, 6'000, in_blocks)}));
  EXPECT_FALSE(consistent({mmd(5, 1'000'000, mutants::swap_with_any)}));
}

}  // namespace
}  // namespace negpipe::test

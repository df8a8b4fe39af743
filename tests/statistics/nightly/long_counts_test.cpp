// A million whole permutations of each size in the Mallows kernel, and two hundred million draws of one user.
#include <gtest/gtest.h>

#include <vector>

#include "statistics/nightly/seed.hpp"
#include "statistics/support/goodness.hpp"
#include "statistics/support/mallows.hpp"
#include "statistics/support/mutants.hpp"
#include "statistics/support/permutation_battery.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

TEST(mallows, a_million_permutations_are_uniform) {
  for (const std::uint32_t size : {5U, 100U, 1000U})
    EXPECT_TRUE(consistent({mmd(size, 1'000'000, core_family(0, nightly_seed()))})) << size;
}

TEST(negatives, two_hundred_million_draws_of_one_user_are_uniform) {
  const positives_owner data = random_positives({20}, 3706, 1);
  const auto view = data.view();
  const core::item_row row = view.csr.row(user_id{0});
  std::vector<std::uint64_t> counts(3686, 0);
  for (std::uint64_t i = 0; i < 200'000'000; ++i) {
    const std::int32_t item = mutants::real_negative(view, user_id{0}, nightly_seed(), 0, i);
    ++counts[static_cast<std::uint32_t>(item) - row.count_below(item)];
  }
  EXPECT_TRUE(consistent({uniform_test("one user", counts)}));
}

}  // namespace
}  // namespace negpipe::test

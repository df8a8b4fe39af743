// Every kernel set's free draws and memberships against core.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels.hpp"
#include "negpipe/core/free_draw.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

constexpr core::membership every_form[] = {core::membership::bitset, core::membership::bloom_filter,
                                           core::membership::sorted_search};

/// All users in turn, with padding users between them.
std::vector<std::int32_t> users_of(const dataset& data, std::size_t count) {
  std::vector<std::int32_t> users;
  for (std::size_t i = 0; i < count; ++i) {
    users.push_back(i % 7 == 5 ? -1 - static_cast<std::int32_t>(i) : static_cast<std::int32_t>(i) % data.user_count());
  }
  return users;
}

item_weights some_weights(std::int32_t item_count) {
  std::vector<std::uint32_t> weights;
  for (std::int32_t i = 0; i < item_count; ++i) weights.push_back(static_cast<std::uint32_t>(i % 11 * i + 1));
  weights[3] = 0;
  return item_weights(std::move(weights));
}

std::vector<std::int32_t> drawn_by_core(const free_job& job, const core::positives_view& view,
                                        const std::vector<std::int32_t>& users) {
  std::vector<std::int32_t> items;
  const auto stream = core::free_stream::for_users(job.at);
  const core::philox_source source{job.seed};
  for (std::uint64_t e = 0; e < users.size() * job.negatives; ++e) {
    const std::int32_t user = users[e / job.negatives];
    if (user < 0) {
      items.push_back(core::no_item);
    } else if (job.weights != nullptr) {
      items.push_back(
          core::draw_free(view, user_id{user}, *job.weights, stream, job.first_element + e, {}, source));
    } else {
      items.push_back(
          core::draw_free(view, user_id{user}, job.item_draw, stream, job.first_element + e, {}, source));
    }
  }
  return items;
}

void expect_core(const dataset& data, const dataset_weights& weights, std::uint32_t negatives, std::size_t user_count,
                 std::uint64_t first_element) {
  const std::vector<std::int32_t> users = users_of(data, user_count);
  const free_job job{77, 5, negatives, first_element,
                     core::bounded32::make(static_cast<std::uint32_t>(data.item_count())), weights.draw()};
  for (const core::membership form : every_form) {
    const positives_index index(data, default_bitset_budget_bytes, {}, form);
    const std::vector<std::int32_t> wanted = drawn_by_core(job, index.view(), users);
    for (const kernel_set& kernels : supported_kernels()) {
      for (const std::uint64_t begin : {std::uint64_t{0}, wanted.size() / 3}) {
        std::vector<std::int32_t> found(wanted.size() + 1, -7);
        kernels.fill_free(job, index.view(), users.data(), begin, wanted.size(), found.data());
        EXPECT_EQ(found.back(), -7) << "wrote past the end";
        for (std::uint64_t e = begin; e < wanted.size(); ++e) {
          ASSERT_EQ(found[e], wanted[e]) << kernels.name << ", element " << e << " of " << negatives << " a user";
        }
      }
    }
  }
}

TEST(free_kernel, draws_equal_core_for_any_number_of_negatives) {
  const dataset data = edge_dataset();
  for (const std::uint32_t negatives : {1U, 2U, 3U, 4U, 7U, 8U, 15U, 16U, 17U, 64U, 300U}) {
    for (const auto& weights : {dataset_weights(data, {}), dataset_weights(data, some_weights(data.item_count()))}) {
      expect_core(data, weights, negatives, 600 / negatives + 3, 0);
      expect_core(data, weights, negatives, 7, (1ULL << 40) + negatives);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(free_kernel, ranges_of_any_length_equal_core) {
  const dataset data = edge_dataset();
  for (std::size_t users = 0; users < 70; ++users) {
    expect_core(data, dataset_weights(data, {}), 1, users, users);
    expect_core(data, dataset_weights(data, some_weights(data.item_count())), 1, users, users);
    if (HasFatalFailure()) return;
  }
}

TEST(free_kernel, weights_that_reject_half_of_all_words_equal_core) {
  const dataset data = edge_dataset();
  std::vector<std::uint32_t> values(static_cast<std::size_t>(data.item_count()), 1);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = (1U << 31) / 97 + 1;  // the sum is just above 2^31
  expect_core(data, dataset_weights(data, item_weights(values)), 4, 300, 0);
}

TEST(free_kernel, memberships_equal_core_in_every_form) {
  const dataset data = edge_dataset();
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  for (std::int32_t user = -1; user < data.user_count(); ++user) {
    for (std::int32_t item = -1; item < data.item_count(); ++item) {
      users.push_back(user);
      items.push_back(item);
    }
  }
  for (const core::membership form : every_form) {
    const positives_index index(data, default_bitset_budget_bytes, {}, form);
    for (const kernel_set& kernels : supported_kernels()) {
      std::vector<std::uint8_t> found(users.size() + 1, 9);
      kernels.contains(index.view(), users.data(), items.data(), users.size(), found.data());
      EXPECT_EQ(found.back(), 9);
      for (std::size_t i = 0; i < users.size(); ++i) {
        const bool wanted = users[i] >= 0 && items[i] >= 0 &&
                            index.view().csr.row(user_id{users[i]}).contains(items[i]);
        ASSERT_EQ(found[i], wanted ? 1 : 0) << kernels.name << ", user " << users[i] << ", item " << items[i];
      }
    }
  }
}

}  // namespace
}  // namespace negpipe::test

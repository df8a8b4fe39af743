// Frozen hashes of core's outputs, one table per stream_version. README.md says when and how to make a new one.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "golden_table.hpp"
#include "negpipe/core/evaluation.hpp"
#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/pairwise.hpp"
#include "negpipe/core/training.hpp"
#include "statistics/support/views.hpp"

namespace negpipe::test {
namespace {

/// FNV-1a over the bytes of numbers, low byte first.
class hasher {
 public:
  void add(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) {
      hash_ = (hash_ ^ (value & 0xFF)) * 0x100000001B3ULL;
      value >>= 8;
    }
  }
  std::string text() const {
    std::ostringstream out;
    out << std::hex << hash_;
    return out.str();
  }

 private:
  std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

/// The edge cases of users, made by arithmetic alone: standard library shuffles differ between platforms.
positives_owner fixed_data() {
  constexpr std::int32_t items = 97;
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int32_t> heldout;
  for (const std::int32_t degree : edge_degrees(items)) {
    const auto user = static_cast<std::int32_t>(rows.size());
    std::vector<std::int32_t> row;
    for (std::int32_t k = 0; k < degree; ++k) row.push_back((13 * user + 29 * k) % items);
    rows.push_back(row);
    heldout.push_back((13 * user + 29 * degree) % items);
  }
  return {std::move(rows), std::move(heldout), items};
}

void add_permutations(golden_table& all) {
  for (const std::uint64_t size : {1ULL, 2ULL, 7ULL, 64ULL, 65ULL, 100ULL, 1023ULL, 1024ULL, 4099ULL, 65'535ULL,
                                   65'536ULL, 65'537ULL, (1ULL << 32) + 1, 1ULL << 61}) {
    hasher hash;
    for (std::uint32_t cycle = 0; cycle < 3; ++cycle) {
      const auto p = core::permutation::make(size, core::philox_source{42}, core::tag::round_keys, cycle, 1ULL << 33);
      for (std::uint64_t i = 0; i < 1000; ++i) hash.add(p(size <= 1000 ? i % size : size / 1000 * i));
    }
    all["permutation of " + std::to_string(size)] = hash.text();
  }
}

void add_training(golden_table& all, const positives_owner& data) {
  for (const auto& [name, pad] : {std::pair("resample", core::padding::resample),
                                  std::pair("mask", core::padding::mask), std::pair("drop", core::padding::drop)}) {
    for (const std::uint32_t negatives : {0U, 4U}) {
      for (const std::uint32_t epochs : {1U, 3U}) {
        const auto plan = make_training_plan(
            data, {.seed = 0x0123456789ABCDEF, .negatives = negatives, .epochs = epochs, .batch_size = 64, .pad = pad});
        hasher hash;
        for (const std::uint32_t cycle : {0U, 1U, ~0U}) {
          const core::philox_source source{plan.seed};
          const auto key = core::cycle_key::make(plan, cycle, source);
          for (std::uint64_t i = 0; i < plan.padded_count(); ++i) {
            const std::uint64_t position = plan.first_position(i / plan.batch_size) + i % plan.batch_size;
            const auto p = core::point_at(plan, key, data.view(), position, source);
            hash.add(static_cast<std::uint64_t>(index(p.user)));
            hash.add(static_cast<std::uint64_t>(index(p.item)));
            hash.add(static_cast<std::uint64_t>(p.label * 2 + p.valid));
          }
        }
        all[std::string("training ") + name + " K=" + std::to_string(negatives) + " c=" + std::to_string(epochs)] =
            hash.text();
      }
    }
  }
}

void add_pairwise(golden_table& all, const positives_owner& data) {
  for (const auto& [name, pad] : {std::pair("resample", core::padding::resample),
                                  std::pair("mask", core::padding::mask), std::pair("drop", core::padding::drop)}) {
    for (const std::uint32_t negatives : {0U, 5U}) {
      const auto plan = make_training_plan(data, {.seed = 0x0123456789ABCDEF,
                                                  .negatives = negatives,
                                                  .epochs = 2,
                                                  .batch_size = 64,
                                                  .pad = pad,
                                                  .layout = core::batch_layout::pairwise});
      hasher hash;
      for (const std::uint32_t cycle : {0U, 1U, ~0U}) {
        const core::philox_source source{plan.seed};
        const auto key = core::cycle_key::make(plan, cycle, source);
        for (std::uint64_t i = 0; i < plan.padded_count(); ++i) {
          const std::uint64_t position = plan.first_position(i / plan.batch_size) + i % plan.batch_size;
          const auto row = core::pair_at(plan, key, data.view(), position, source);
          hash.add(static_cast<std::uint64_t>(index(row.user)));
          hash.add(static_cast<std::uint64_t>(index(row.item)));
          hash.add(static_cast<std::uint64_t>(row.valid));
          for (std::uint32_t k = 0; k < negatives; ++k) {
            hash.add(
                static_cast<std::uint64_t>(index(core::pair_negative(plan, key, data.view(), row, k, source))));
          }
        }
      }
      all[std::string("pairwise ") + name + " K=" + std::to_string(negatives)] = hash.text();
    }
  }
}

void add_evaluation(golden_table& all) {
  const positives_owner data = fixed_data();
  for (const bool with_replacement : {false, true}) {
    hasher hash;
    const auto plan = make_evaluation_plan(data, 40, with_replacement, 42);
    for (std::int32_t u = 0; u < data.view().user_count; ++u) {
      const std::uint32_t left = 97 - data.view().csr.row(user_id{u}).count - 1;
      const std::uint32_t last = with_replacement ? plan.negatives : std::min(plan.negatives, left);
      for (std::uint32_t column = 0; column <= last; ++column) {
        hash.add(static_cast<std::uint64_t>(
            index(core::eval_item_at(plan, data.view(), user_id{u}, column, core::philox_source{plan.seed}))));
      }
    }
    all[with_replacement ? "evaluation with replacement" : "evaluation"] = hash.text();
  }
}

/// Rows of 12 elements without repeats, some items excluded, and shared rows.
void add_free_draws(golden_table& all) {
  const positives_owner data = fixed_data();
  const auto item_draw = core::bounded32::make(97);
  const core::philox_source source{42};
  const std::vector<std::int32_t> excluded{3, 96, -1, 3, 50};
  for (const bool distinct : {false, true}) {
    hasher users;
    hasher shared;
    for (const std::uint32_t at : {0U, 1U, ~0U}) {
      for (std::int32_t u = 0; u < data.view().user_count; ++u) {
        std::vector<std::int32_t> row;
        std::vector<std::int32_t> for_all;
        for (std::uint32_t k = 0; k < 12; ++k) {
          const auto taken = [&](const std::vector<std::int32_t>& drawn) {
            return core::taken_items{excluded.data(), static_cast<std::uint32_t>(u) % 6, drawn.data(),
                                     distinct ? k : 0};
          };
          const std::uint64_t element = static_cast<std::uint64_t>(u) * 12 + k;
          row.push_back(core::draw_free(data.view(), user_id{u}, item_draw, core::free_stream::for_users(at), element,
                                        taken(row), source));
          for_all.push_back(core::draw_free(core::no_positives{{}, 97}, user_id{u}, item_draw,
                                            core::free_stream::shared(at), element, taken(for_all), source));
          users.add(static_cast<std::uint64_t>(row.back()));
          shared.add(static_cast<std::uint64_t>(for_all.back()));
        }
      }
    }
    all[distinct ? "free draws, distinct" : "free draws"] = users.text();
    all[distinct ? "shared draws, distinct" : "shared draws"] = shared.text();
  }
}

golden_table current() {
  golden_table all;
  add_permutations(all);
  add_training(all, fixed_data());
  add_pairwise(all, fixed_data());
  add_evaluation(all);
  add_free_draws(all);
  return all;
}

TEST(golden, core_outputs_equal_the_frozen_hashes) { expect_golden("core", current()); }

}  // namespace
}  // namespace negpipe::test

// Positions past 2^32 and 2^40: a late part of a run on disk, and late batches, compared with core point by point.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "negpipe/core/pairwise.hpp"
#include "negpipe/core/training.hpp"
#include "negpipe/positives.hpp"
#include "negpipe/sampler.hpp"
#include "written_run.hpp"

namespace negpipe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t seed = 42;
constexpr std::uint32_t last_cycle = 0xFFFF'FFFF;

/// Options of a cycle of at least this many points.
sampler_options options_of(const dataset& data, std::uint64_t points, std::uint64_t batch_size,
                           batch_layout layout = batch_layout::pointwise) {
  const std::uint64_t per_epoch = data.positive_count() * (layout == batch_layout::pairwise ? 1 : 5);
  const std::uint64_t epochs = points / per_epoch + 1;
  EXPECT_LT(epochs >> 32, 1U);
  return {.seed = seed,
          .negatives = 4,
          .epochs_per_cycle = static_cast<std::uint32_t>(epochs),
          .batch_size = batch_size,
          .layout = layout,
          .device = "cpu",
          .threads = 1};
}

const std::uint16_t* values_of(const item_view& items) { return static_cast<const std::uint16_t*>(items.data()); }

/// Returns the position of the first value that is not core's, or `count` if all are.
std::uint64_t first_difference(const sampler& source, std::uint32_t cycle, std::uint64_t first, std::uint64_t count,
                               const std::int32_t* users, const std::uint16_t* items, const std::int8_t* labels) {
  const training_plan& plan = source.plan();
  const positives_index positives(source.data(), 0);
  const core::cycle_key key = make_cycle_key(plan, cycle);
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::point wanted = core::point_at(plan, key, positives.view(), first + i, core::philox_source{seed});
    if (users[i] != index(wanted.user) || items[i] != index(wanted.item) || labels[i] != wanted.label) {
      return i;
    }
  }
  return count;
}

TEST(far_positions, in_a_part_of_a_run_equal_core) {
  constexpr std::uint64_t batch_size = 1 << 14;
  const dataset data = test::edge_dataset();
  const test::temporary_folder folder;
  const sampler source(data, options_of(data, std::uint64_t{1} << 33, batch_size));
  const training_plan& plan = source.plan();
  const file_layout layout{plan.batch_count, max_readers};
  const run_part last{static_cast<std::uint32_t>((plan.batch_count - 1) / layout.batches_per_file()), max_readers};
  (void)generate(source, {.out = folder.path(), .first_cycle = last_cycle, .readers = max_readers, .part = last});

  fs::path file;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    if (entry.path().extension() == ".tfrecords") file = entry.path();
  }
  std::uint64_t batch = layout.first_batch(last.index);
  std::uint64_t past = 0;
  record_reader reader(file);
  for (std::span<const std::byte> payload; reader.next(payload); ++batch) {
    test::batch_columns found;
    for (const auto& [name, bytes] : parse_example(payload)) {
      if (name == record::user_key) found.users = test::values_of<std::int32_t>(bytes);
      if (name == record::item_key) found.items = test::values_of<std::uint16_t>(bytes);
      if (name == record::label_key) found.flags = test::values_of<std::int8_t>(bytes);
    }
    ASSERT_EQ(found.users.size(), batch_size);
    const std::uint64_t first = plan.first_position(batch);
    EXPECT_EQ(first_difference(source, last_cycle, first, batch_size, found.users.data(), found.items.data(),
                               found.flags.data()),
              batch_size)
        << "record of batch " << batch;
    past += first >> 32 != 0 ? 1 : 0;
  }
  EXPECT_EQ(batch, plan.batch_count);
  EXPECT_GT(past, 0U);
  EXPECT_EQ(verify(data, folder.path(), {}, {.part = last}).failure_count, 0U);
}

TEST(far_positions, in_batches_equal_core) {
  constexpr std::uint64_t batch_size = 1000;
  const dataset data = test::edge_dataset();
  for (const std::uint64_t border : {std::uint64_t{1} << 32, std::uint64_t{1} << 40}) {
    const sampler source(data, options_of(data, 2 * border, batch_size));
    training_batch made = source.make_batch();
    const std::uint64_t across = border / batch_size;
    for (const std::uint64_t batch : {across, across + 1, source.plan().batch_count - 2}) {
      source.fill(last_cycle, batch, made);
      EXPECT_EQ(first_difference(source, last_cycle, batch * batch_size, batch_size, made.users().data(),
                                 values_of(made.items()), made.labels().data()),
                batch_size)
          << "batch " << batch;
    }
  }
}

TEST(far_positions, in_batches_of_rows_equal_core) {
  constexpr std::uint64_t batch_size = 1000;
  const dataset data = test::random_dataset(std::vector<std::int32_t>(200, 40), 97, 3);
  const sampler source(data, options_of(data, std::uint64_t{1} << 41, batch_size, batch_layout::pairwise));
  const training_plan& plan = source.plan();
  const positives_index positives(data, 0);
  const core::cycle_key key = make_cycle_key(plan, last_cycle);
  const core::philox_source random{seed};
  pair_batch made = source.make_pair_batch();
  const std::uint64_t batch = (std::uint64_t{1} << 40) / batch_size + 1;
  source.fill(last_cycle, batch, made);
  for (std::uint64_t i = 0; i < batch_size; ++i) {
    const core::pair_row wanted = core::pair_at(plan, key, positives.view(), batch * batch_size + i, random);
    ASSERT_EQ(made.users()[i], index(wanted.user));
    ASSERT_EQ(values_of(made.items())[i], index(wanted.item));
    for (std::uint32_t k = 0; k < plan.negatives; ++k) {
      ASSERT_EQ(values_of(made.negatives())[i * plan.negatives + k],
                index(core::pair_negative(plan, key, positives.view(), wanted, k, random)));
    }
  }
}

}  // namespace
}  // namespace negpipe

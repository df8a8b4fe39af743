// Points written directly to device memory equal core for every form, block size, width and alignment.
#include "fill_points.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "device.hpp"
#include "device_dataset.hpp"
#include "device_weights.hpp"
#include "equality/reference_columns.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

using cuda::membership_form;

constexpr std::array every_form{membership_form::bitset, membership_form::bloom_filter, membership_form::sorted_search};

// Users with no, few and most items, so that every way of settling a draw occurs, and cycles long enough for a network
// of many rounds.
dataset kernel_dataset() { return random_dataset({700, 0, 1, 2000, 3000, 20, 0, 2999, 9000, 11'998}, 12'000, 5); }

// Device columns, misaligned by shift values, with a guard of values on both sides.
struct device_columns {
  device_columns(std::uint64_t value_count, std::uint64_t shift, item_type item_width, bool with_valid,
                 cuda::device_memory& memory, cudaStream_t stream)
      : count(value_count), begin(16 + shift), width(item_width), masked(with_valid) {
    const std::uint64_t room = count + begin + 16;
    for (auto* column : {&users, &items, &labels, &valid}) {
      *column = cuda::device_buffer<std::byte>(room * 4, memory, stream);
      NEGPIPE_CUDA_CHECK(cudaMemsetAsync(column->data(), filler, column->size_bytes(), stream));
    }
  }

  core::training_pointers columns() {
    return {reinterpret_cast<std::int32_t*>(users.data()) + begin, items.data() + begin * item_bytes(width), width,
            reinterpret_cast<std::int8_t*>(labels.data()) + begin,
            masked ? reinterpret_cast<std::int8_t*>(valid.data()) + begin : nullptr};
  }

  static constexpr int filler = 0x5A;
  std::uint64_t count;
  std::uint64_t begin;
  item_type width;
  bool masked;
  cuda::device_buffer<std::byte> users, items, labels, valid;
};

class fill_points : public device_test {
 protected:
  cuda::device_dataset make(const positives_index& index, membership_form form) {
    return cuda::device_dataset::upload_async(index.source(), default_bitset_budget_bytes, form, *memory,
                                              stream->get());
  }

  // Returns "" or the column that differs from the reference, guards included.
  std::string difference(const device_columns& found, const training_plan& plan, const core::cycle_key& key,
                         const positives_index& index, std::uint64_t first, std::uint64_t written) {
    const std::uint64_t room = found.users.size_bytes();
    std::vector<std::byte> users(room, std::byte{device_columns::filler});
    std::vector<std::byte> items = users;
    std::vector<std::byte> labels = users;
    std::vector<std::byte> valid = users;
    const training_columns wanted{
        {reinterpret_cast<std::int32_t*>(users.data()) + found.begin, found.count},
        {items.data() + found.begin * item_bytes(found.width), found.width, found.count},
        {reinterpret_cast<std::int8_t*>(labels.data()) + found.begin, found.count},
        {reinterpret_cast<std::int8_t*>(valid.data()) + found.begin, found.masked ? found.count : 0}};
    write_reference_points(plan, key, index.view(), first, written, wanted);
    std::string text;
    if (download(found.users.data(), room) != users) text += "users ";
    if (download(found.items.data(), room) != items) text += "items ";
    if (download(found.labels.data(), room) != labels) text += "labels ";
    if (download(found.valid.data(), room) != valid) text += "valid ";
    return text;
  }
};

TEST_F(fill_points, every_form_and_block_size_equals_core) {
  const dataset data = kernel_dataset();
  const positives_index index(data);
  const training_plan plan = plan_training(data, {5, 4, 1, 4099, padding_policy::resample});
  const core::cycle_key key = make_cycle_key(plan, 3);
  for (const membership_form form : every_form) {
    const auto device = make(index, form);
    for (const unsigned block_size : {32U, 96U, 128U, 256U}) {
      device_columns found(9000, 0, item_type::uint16, false, *memory, stream->get());
      cuda::fill_training_async(plan, key, device.view(), 40'000, found.count, found.columns(),
                                {stream->get(), block_size});
      ASSERT_EQ(difference(found, plan, key, index, 40'000, found.count), "")
          << cuda::name_of(form) << ", block size " << block_size;
    }
  }
}

// One item has most of the weight, so that users who have it draw by rank; one word in 16 is rejected.
TEST_F(fill_points, weighted_draws_of_every_form_and_width_equal_core) {
  for (const std::int32_t item_count : {12'000, 70'000}) {
    const dataset data = random_dataset({700, 0, 1, 2000, 3000, 20, 0, 2999, 9000, 11'500}, item_count, 5);
    const positives_index index(data);
    std::vector<std::uint32_t> numbers(static_cast<std::size_t>(item_count));
    for (std::uint32_t i = 0; i < numbers.size(); ++i) numbers[i] = i % 7 == 0 ? 0 : i % 1000;
    numbers[static_cast<std::size_t>(data.positive_items()[0])] = 2'000'000'000;
    const dataset_weights weights(data, item_weights(std::move(numbers)));
    const cuda::device_weights on_device(weights, data.positive_count(), *memory, stream->get());
    training_plan plan = plan_training(data, {5, 4, 1, 4099, padding_policy::resample});
    const core::cycle_key key = make_cycle_key(plan, 3);
    for (const membership_form form : every_form) {
      const auto device = make(index, form);
      for (const std::uint64_t first : {std::uint64_t{40'001}, plan.padded_count() - 9000}) {
        device_columns found(9000, 1, item_type_for(item_count), false, *memory, stream->get());
        plan.weights = on_device.draw();
        cuda::fill_training_async(plan, key, device.view(), first, found.count, found.columns(), {stream->get()});
        plan.weights = *weights.draw();
        ASSERT_EQ(difference(found, plan, key, index, first, found.count), "") << cuda::name_of(form) << ", " << first;
      }
    }
  }
}

TEST_F(fill_points, ranges_that_cut_blocks_of_four_and_reach_into_padding_equal_core) {
  const dataset data = kernel_dataset();
  const positives_index index(data);
  const auto device = make(index, membership_form::bloom_filter);
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask, padding_policy::drop}) {
    const bool masked = padding == padding_policy::mask;
    const training_plan plan = plan_training(data, {5, 4, 1, 4099, padding});
    const core::cycle_key key = make_cycle_key(plan, 0xFFFFFFFF);
    for (const std::uint64_t back : {0ULL, 1ULL, 2ULL, 3ULL, 4ULL, 70ULL, 1111ULL, 4098ULL}) {
      for (const item_type width : {item_type::uint16, item_type::int32}) {
        const std::uint64_t count = std::min<std::uint64_t>(back, 1027);
        device_columns found(count, back % 3, width, masked, *memory, stream->get());
        const std::uint64_t first = plan.padded_count() - back;
        cuda::fill_training_async(plan, key, device.view(), first, count, found.columns(), {stream->get()});
        ASSERT_EQ(difference(found, plan, key, index, first, count), "") << "last " << back;
      }
    }
  }
}

// A batch far larger than the cycle: few points, but positions past the range of 32-bit quads.
TEST_F(fill_points, padding_at_positions_past_2_to_the_34th_equals_core) {
  const dataset data = kernel_dataset();
  const positives_index index(data);
  const auto device = make(index, membership_form::bloom_filter);
  for (const padding_policy padding : {padding_policy::resample, padding_policy::mask}) {
    const bool masked = padding == padding_policy::mask;
    for (const std::uint64_t size : {(1ULL << 33) - 4, 1ULL << 33, (1ULL << 34) + 700}) {
      const training_plan plan = plan_training(data, {5, 4, 1, size, padding});
      ASSERT_LT(plan.point_count, 1ULL << 31);
      const core::cycle_key key = make_cycle_key(plan, 3);
      for (const std::uint64_t first : {plan.point_count - 301, size - 699}) {
        device_columns found(699, 1, item_type::uint16, masked, *memory, stream->get());
        cuda::fill_training_async(plan, key, device.view(), first, found.count, found.columns(), {stream->get()});
        ASSERT_EQ(difference(found, plan, key, index, first, found.count), "") << size << ", " << first;
      }
    }
  }
}

TEST_F(fill_points, catalogues_of_more_than_65536_items_equal_core) {
  const dataset data = random_dataset({700, 0, 1, 2000, 3000, 20, 0, 60'000, 9000}, 70'000, 5);
  const positives_index index(data);
  const training_plan plan = plan_training(data, {5, 4, 1, 4099, padding_policy::mask});
  const core::cycle_key key = make_cycle_key(plan, 3);
  for (const membership_form form : every_form) {
    const auto device = make(index, form);
    ASSERT_EQ(device.view().packed_as, cuda::packing::wide);
    for (const std::uint64_t first : {std::uint64_t{40'000}, std::uint64_t{40'001}, plan.padded_count() - 5000}) {
      device_columns found(5000, 0, item_type::int32, true, *memory, stream->get());
      cuda::fill_training_async(plan, key, device.view(), first, found.count, found.columns(), {stream->get()});
      ASSERT_EQ(difference(found, plan, key, index, first, found.count), "") << cuda::name_of(form) << ", " << first;
    }
  }
}

// A test cannot hold more users than a packed word can name, but a view can claim to.
TEST_F(fill_points, points_of_unpacked_positives_equal_core) {
  const dataset data = kernel_dataset();
  const positives_index index(data);
  const auto device = make(index, membership_form::bitset);
  cuda::device_view view = device.view();
  view.packed = nullptr;
  view.packed_as = cuda::packing::none;
  const training_plan plan = plan_training(data, {5, 4, 1, 4099, padding_policy::resample});
  const core::cycle_key key = make_cycle_key(plan, 3);
  device_columns found(3000, 0, item_type::uint16, false, *memory, stream->get());
  cuda::fill_training_async(plan, key, view, 41'001, found.count, found.columns(), {stream->get()});
  EXPECT_EQ(difference(found, plan, key, index, 41'001, found.count), "");
}

TEST_F(fill_points, cycles_of_several_epochs_and_other_shapes_equal_core) {
  const dataset data = kernel_dataset();
  const positives_index index(data);
  const auto device = make(index, membership_form::bitset);
  for (const auto& [negatives, epochs] : {std::pair{16U, 1U}, {1U, 9U}, {0U, 40U}, {4U, 100'000U}}) {
    const training_plan plan = plan_training(data, {11, negatives, epochs, 1000, padding_policy::resample});
    const core::cycle_key key = make_cycle_key(plan, 1);
    device_columns found(4096, 0, item_type::int32, false, *memory, stream->get());
    const std::uint64_t first = plan.point_count / 3;
    cuda::fill_training_async(plan, key, device.view(), first, found.count, found.columns(), {stream->get()});
    ASSERT_EQ(difference(found, plan, key, index, first, found.count), "") << negatives << ", " << epochs;
  }
}

TEST_F(fill_points, a_batch_number_past_the_end_means_the_end_of_the_cycle) {
  const dataset data = kernel_dataset();
  const positives_index index(data);
  const auto device = make(index, membership_form::bloom_filter);
  const training_plan plan = plan_training(data, {5, 4, 1, 500, padding_policy::drop});
  auto cursor = upload(std::vector<batch_cursor>{{2, ~0ULL}});
  auto states = upload(std::vector<cuda::cursor_state>{cuda::initial_state(plan)});
  device_columns found(500, 0, item_type::uint16, false, *memory, stream->get());
  cuda::fill_next_async(plan, cursor.data(), states.data(), 1, device.view(), found.columns(), {stream->get()});
  EXPECT_EQ(difference(found, plan, make_cycle_key(plan, 3), index, 0, 500), "");
  EXPECT_EQ(download(cursor.data(), 1)[0].batch, 1U);
}

}  // namespace
}  // namespace negpipe::test

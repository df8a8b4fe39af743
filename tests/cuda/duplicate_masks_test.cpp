// Masks equal core's rule, for rows that a block sorts and for longer rows.
#include "duplicate_masks.hpp"

#include <random>
#include <set>

#include "device.hpp"

namespace negpipe::test {
namespace {

class duplicate_masks : public device_test {
 protected:
  template <typename Item>
  void expect_masks(std::int32_t item_count, std::uint64_t row_count, std::uint64_t row_length) {
    std::mt19937 generator(17);
    std::vector<Item> items(row_count * row_length);
    std::vector<std::int8_t> wanted(items.size());
    for (std::uint64_t row = 0; row < row_count; ++row) {
      std::set<Item> seen;
      for (std::uint64_t i = row * row_length; i < (row + 1) * row_length; ++i) {
        // Uses the greatest item often: its key equals that of the slots past the row's end.
        const auto most = static_cast<std::uint32_t>(item_count - 1);
        items[i] = static_cast<Item>(generator() % 8 == 0 ? most : generator() % (most + 1));
        wanted[i] = seen.insert(items[i]).second ? 0 : 1;
      }
    }
    const auto device_items = upload(items);
    cuda::device_buffer<std::int8_t> mask(items.size(), *memory, stream->get());
    const item_type width = sizeof(Item) == 2 ? item_type::uint16 : item_type::int32;
    cuda::device_buffer<std::byte> workspace(cuda::duplicate_workspace_bytes(item_count, row_count, row_length),
                                             *memory, stream->get());
    cuda::mark_duplicates_async(device_items.data(), width, item_count, row_count, row_length, mask.data(),
                                workspace.data(), {stream->get()});
    EXPECT_EQ(download(mask.data(), mask.size()), wanted) << row_count << " rows of " << row_length;
  }
};

TEST_F(duplicate_masks, equal_core_at_every_row_length) {
  for (const std::uint64_t row_length :
       {1ULL, 2ULL, 31ULL, 1000ULL, 1023ULL, 1024ULL, 1025ULL, 4096ULL, 4097ULL, 9000ULL}) {
    expect_masks<std::uint16_t>(1024, 3, row_length);
    expect_masks<std::int32_t>(70'000, 2, row_length);
  }
}

TEST_F(duplicate_masks, equal_core_for_tiny_and_full_catalogues) {
  expect_masks<std::uint16_t>(1, 4, 100);
  expect_masks<std::uint16_t>(2, 4, 1100);
  expect_masks<std::uint16_t>(65'536, 4, 1000);
  expect_masks<std::int32_t>(0x7FFFFFFF, 2, 4000);
  expect_masks<std::int32_t>(20'000'000, 2, 5000);  // two tables would exceed the workspace
}

TEST_F(duplicate_masks, equal_core_for_more_rows_than_tables) { expect_masks<std::uint16_t>(500, 600, 40); }

}  // namespace
}  // namespace negpipe::test

// device_pool: memory is used again only after its readers. Conversions of columns.
#include "negpipe/device_pool.hpp"

#include <optional>
#include <utility>

#include "device.hpp"
#include "negpipe/error.hpp"

namespace negpipe::test {
namespace {

using device_pool_test = device_test;

constexpr std::size_t block_bytes = 4096;

device_block written_block(const device_pool& pool, int value) {
  device_block block = pool.take(block_bytes);
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(block.data(), value, block_bytes, pool.stream()));
  block.finish_writing();
  return block;
}

// With deferred work (PTXRUN_ASYNC) streams overtake each other wherever nothing makes one wait, and a read of memory
// that was freed is an error.
TEST_F(device_pool_test, blocks_are_freed_after_all_their_readers) {
  constexpr std::size_t rounds = 24;
  const device_pool pool(0);
  const std::vector<cuda::stream> readers(2);
  std::vector<cuda::device_buffer<std::byte>> seen;
  for (std::size_t r = 0; r < readers.size(); ++r) seen.emplace_back(rounds * block_bytes, *memory, stream->get());
  stream->synchronize();
  for (std::size_t round = 0; round < rounds; ++round) {
    const device_block block = written_block(pool, static_cast<int>(round));
    for (std::size_t r = 0; r < readers.size(); ++r) {
      block.lend_to(readers[r].get());
      NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(seen[r].data() + round * block_bytes, block.data(), block_bytes,
                                         cudaMemcpyDeviceToDevice, readers[r].get()));
    }
    if (round % 8 == 7) readers[0].synchronize();
  }
  for (std::size_t r = 0; r < readers.size(); ++r) {
    readers[r].synchronize();
    const std::vector<std::byte> found = download(seen[r].data(), seen[r].size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i], std::byte(i / block_bytes)) << "reader " << r << ", byte " << i;
    }
  }
}

TEST_F(device_pool_test, a_download_waits_for_the_content) {
  const device_pool pool(0);
  std::vector<std::byte> found(block_bytes / 2);
  for (const int value : {3, 200}) {
    written_block(pool, value).download(block_bytes / 2, found);
    EXPECT_EQ(found, std::vector<std::byte>(block_bytes / 2, std::byte(value)));
  }
}

TEST_F(device_pool_test, blocks_outlive_their_pool_and_copies_share_them) {
  std::optional<device_block> kept;
  {
    const device_pool pool(0);
    const device_block block = written_block(pool, 9);
    kept = block;
    EXPECT_EQ(kept->data(), block.data());
  }
  std::vector<std::byte> found(block_bytes);
  kept->download(0, found);
  EXPECT_EQ(found, std::vector<std::byte>(block_bytes, std::byte{9}));
}

TEST_F(device_pool_test, a_device_that_does_not_exist_is_refused) {
  EXPECT_THROW(device_pool(-1), option_error);
  EXPECT_THROW(device_pool(99), option_error);
}

TEST_F(device_pool_test, columns_are_converted) {
  std::vector<std::int8_t> labels(1001);
  std::vector<std::int32_t> items(1001);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::int8_t>(i % 2);
    items[i] = static_cast<std::int32_t>(i) - 7;
  }
  auto small = upload(labels);
  auto wide = upload(items);
  cuda::device_buffer<float> floats(labels.size(), *memory, stream->get());
  cuda::device_buffer<std::int64_t> numbers(labels.size(), *memory, stream->get());
  const auto to = [](auto& buffer) { return std::span(buffer.data(), buffer.size()); };
  const auto from = [](const auto& buffer) { return std::span(buffer.data(), buffer.size()); };
  convert_async(from(std::as_const(small)), to(floats), 0, stream->get());
  EXPECT_EQ(download(floats.data(), floats.size()), std::vector<float>(labels.begin(), labels.end()));
  convert_async(from(std::as_const(small)), to(numbers), 0, stream->get());
  EXPECT_EQ(download(numbers.data(), numbers.size()), std::vector<std::int64_t>(labels.begin(), labels.end()));
  convert_async(from(std::as_const(wide)), to(numbers), 0, stream->get());
  EXPECT_EQ(download(numbers.data(), numbers.size()), std::vector<std::int64_t>(items.begin(), items.end()));
  EXPECT_THROW(convert_async(from(std::as_const(wide)), to(numbers).first(3), 0, stream->get()), option_error);

  add_async(to(wide).subspan(1, 998), 1 << 20, 0, stream->get());
  zero_async(std::as_writable_bytes(to(wide).subspan(500, 2)), 0, stream->get());
  for (std::size_t i = 1; i < 999; ++i) items[i] += 1 << 20;
  items[500] = items[501] = 0;
  EXPECT_EQ(download(wide.data(), wide.size()), items);
}

}  // namespace
}  // namespace negpipe::test

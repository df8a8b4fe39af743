#include "checked_batch.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "negpipe/backend.hpp"
#include "negpipe/error.hpp"

namespace negpipe::bench {

void check_batch(cudaStream_t stream, const training_plan& plan, const core::cycle_key& key,
                 const positives_index& index, const device_batch& made) {
  const std::uint64_t count = plan.batch_size;
  std::vector<std::int32_t> users(count);
  std::vector<std::uint8_t> items(count * item_bytes(made.width));
  std::vector<std::int8_t> labels(count);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  NEGPIPE_CUDA_CHECK(cudaMemcpy(users.data(), made.users.data(), count * 4, cudaMemcpyDeviceToHost));
  NEGPIPE_CUDA_CHECK(cudaMemcpy(items.data(), made.items.data(), items.size(), cudaMemcpyDeviceToHost));
  NEGPIPE_CUDA_CHECK(cudaMemcpy(labels.data(), made.flags.data(), count, cudaMemcpyDeviceToHost));
  for (std::uint64_t i = 0; i < count; ++i) {
    const core::point wanted = core::point_at(plan, key, index.view(), i, core::philox_source{plan.seed});
    std::int32_t item = 0;
    std::memcpy(&item, items.data() + i * item_bytes(made.width), item_bytes(made.width));
    if (users[i] != negpipe::index(wanted.user) || item != negpipe::index(wanted.item) || labels[i] != wanted.label) {
      throw backend_error("position " + std::to_string(i) + " differs from core; nothing is measured");
    }
  }
}

void check_rows(cudaStream_t stream, const evaluation_plan& plan, const positives_index& index, std::uint64_t first,
                std::uint64_t count, const device_batch& made) {
  const std::uint64_t length = plan.row_length();
  evaluation_batch wanted(count * length, made.width);
  make_backend("cpu", index, 0)->fill_evaluation(plan, first, count, wanted.columns());
  evaluation_batch found(count * length, made.width);
  const evaluation_columns to = found.columns();
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  const auto copy = [&](void* host, const void* device, std::uint64_t width) {
    NEGPIPE_CUDA_CHECK(cudaMemcpy(host, static_cast<const std::byte*>(device) + first * length * width,
                                  count * length * width, cudaMemcpyDeviceToHost));
  };
  copy(to.users.data(), made.users.data(), 4);
  copy(to.items.data(), made.items.data(), item_bytes(made.width));
  copy(to.duplicate_mask.data(), made.flags.data(), 1);
  const evaluation_columns is = wanted.columns();
  if (!std::ranges::equal(to.users, is.users) || !std::ranges::equal(to.duplicate_mask, is.duplicate_mask) ||
      std::memcmp(to.items.data(), is.items.data(), to.items.size_bytes()) != 0) {
    throw backend_error("evaluation rows " + std::to_string(first) + " and later differ from the CPU backend's; "
                        "nothing is measured");
  }
}

}  // namespace negpipe::bench

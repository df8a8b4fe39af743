#include "rows_from_interactions.hpp"

#include <string>

#include "launch.hpp"
#include "negpipe/core/arith.hpp"
#include "negpipe/error.hpp"
#include "nvtx.hpp"
#include "sort_positives.hpp"
#include "thrust_policy.hpp"

namespace negpipe::cuda {

namespace {

using index_word = unsigned long long;  // the type that atomicMin and atomicMax take
constexpr index_word none = ~0ULL;

// The lowest index of each kind of error, or none.
struct findings {
  index_word bad_user = none;
  index_word bad_item = none;
  index_word bad_heldout = none;
  index_word user_without_rows = none;
};

struct rows_view {
  const std::int32_t* users;
  const std::int32_t* items;
  const std::int64_t* timestamps;  // null: rows are in order of time
  std::uint64_t count;
  std::int32_t user_count;
  std::int32_t item_count;
};

__device__ std::uint64_t first_index() { return blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x; }
__device__ std::uint64_t index_stride() { return gridDim.x * static_cast<std::uint64_t>(blockDim.x); }

__device__ bool is_outside(std::int32_t id, std::int32_t count) {
  return static_cast<std::uint32_t>(id) >= static_cast<std::uint32_t>(count);
}

__global__ void check_rows(rows_view rows, findings* found) {
  for (std::uint64_t i = first_index(); i < rows.count; i += index_stride()) {
    if (is_outside(rows.users[i], rows.user_count)) atomicMin(&found->bad_user, static_cast<index_word>(i));
    if (is_outside(rows.items[i], rows.item_count)) atomicMin(&found->bad_item, static_cast<index_word>(i));
  }
}

__global__ void check_heldout(const std::int32_t* heldout, std::int32_t user_count, std::int32_t item_count,
                              findings* found) {
  for (std::uint64_t u = first_index(); u < user_count; u += index_stride()) {
    if (is_outside(heldout[u], item_count)) atomicMin(&found->bad_heldout, static_cast<index_word>(u));
  }
}

// Maps a timestamp to an unsigned number of the same order.
__device__ index_word as_unsigned(std::int64_t timestamp) {
  return static_cast<index_word>(timestamp) ^ 1ULL << 63;
}

__global__ void find_last_times(rows_view rows, index_word* last_time) {
  for (std::uint64_t i = first_index(); i < rows.count; i += index_stride()) {
    atomicMax(last_time + rows.users[i], as_unsigned(rows.timestamps[i]));
  }
}

// last_row: the index of the user's last row, plus one.
__global__ void find_last_rows(rows_view rows, const index_word* last_time, index_word* last_row) {
  for (std::uint64_t i = first_index(); i < rows.count; i += index_stride()) {
    if (rows.timestamps != nullptr && as_unsigned(rows.timestamps[i]) != last_time[rows.users[i]]) continue;
    atomicMax(last_row + rows.users[i], static_cast<index_word>(i + 1));
  }
}

__global__ void hold_out_last(rows_view rows, const index_word* last_row, std::int32_t* heldout, findings* found) {
  for (std::uint64_t u = first_index(); u < rows.user_count; u += index_stride()) {
    if (last_row[u] == 0) atomicMin(&found->user_without_rows, static_cast<index_word>(u));
    heldout[u] = last_row[u] == 0 ? 0 : rows.items[last_row[u] - 1];
  }
}

unsigned grid_over(std::uint64_t count) { return grid_for(core::ceil_div(count, default_block_size)); }

template <typename T>
T download(const T* value, cudaStream_t stream) {
  T copy;
  NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(&copy, value, sizeof copy, cudaMemcpyDeviceToHost, stream));
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(stream));
  return copy;
}

void refuse_id(const char* column, index_word at, const std::int32_t* ids, std::int32_t count, cudaStream_t stream) {
  if (at == none) return;
  throw option_error(std::string(column) + "[" + std::to_string(at) + "] is " +
                     std::to_string(download(ids + at, stream)) + "; 0 to " + std::to_string(count - 1) + " wanted");
}

// A zeroed buffer.
device_buffer<index_word> make_words(std::int32_t count, device_memory& memory, cudaStream_t stream) {
  device_buffer<index_word> words(static_cast<std::size_t>(count), memory, stream);
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(words.data(), 0, words.size_bytes(), stream));
  return words;
}

// Finds the item of each user's last row. All ids must be in range.
void hold_out_last_rows(const rows_view& rows, std::int32_t* heldout, findings* found, device_memory& memory,
                        cudaStream_t stream) {
  const launcher on{stream};
  auto last_time = make_words(rows.user_count, memory, stream);
  auto last_row = make_words(rows.user_count, memory, stream);
  if (rows.timestamps != nullptr) {
    on("launch of find_last_times", find_last_times, grid_over(rows.count), rows, last_time.data());
  }
  on("launch of find_last_rows", find_last_rows, grid_over(rows.count), rows, last_time.data(),
     last_row.data());
  on("launch of hold_out_last", hold_out_last, grid_over(static_cast<std::uint64_t>(rows.user_count)), rows,
     last_row.data(), heldout, found);
  const index_word user = download(found, stream).user_without_rows;
  if (user == none) return;
  throw option_error("users", "user " + std::to_string(user) +
                     " has no row, so none can be held out; give heldout, or number the users that have rows");
}

device_buffer<std::int32_t> checked_heldout(const device_interactions& data, const rows_view& rows,
                                            device_memory& memory, cudaStream_t stream) {
  const findings nothing;
  auto found = upload_async(&nothing, 1, memory, stream);
  device_buffer<std::int32_t> heldout(static_cast<std::size_t>(data.user_count), memory, stream);
  const launcher on{stream};
  on("launch of check_rows", check_rows, grid_over(rows.count), rows, found.data());
  if (!data.heldout.empty()) {
    NEGPIPE_CUDA_CHECK(cudaMemcpyAsync(heldout.data(), data.heldout.data(), heldout.size_bytes(),
                                       cudaMemcpyDeviceToDevice, stream));
    on("launch of check_heldout", check_heldout, grid_over(heldout.size()),
       static_cast<const std::int32_t*>(heldout.data()), data.user_count, data.item_count, found.data());
  }
  const findings first = download(found.data(), stream);
  refuse_id("users", first.bad_user, rows.users, rows.user_count, stream);
  refuse_id("items", first.bad_item, rows.items, rows.item_count, stream);
  refuse_id("heldout", first.bad_heldout, heldout.data(), rows.item_count, stream);
  if (data.heldout.empty()) hold_out_last_rows(rows, heldout.data(), found.data(), memory, stream);
  return heldout;
}

}  // namespace

device_rows rows_from_interactions(const device_interactions& data, device_memory& memory, cudaStream_t stream) {
  const nvtx_range range("negpipe rows from interactions");
  const rows_view view{data.users.data(),
                       data.items.data(),
                       data.timestamps.empty() ? nullptr : data.timestamps.data(),
                       data.users.size(),
                       data.user_count,
                       data.item_count};
  device_rows rows;
  rows.heldout = checked_heldout(data, view, memory, stream);
  scratch_allocator scratch(memory, stream);
  const auto policy = thrust::cuda::par_nosync(scratch).on(stream);
  device_buffer<std::uint64_t> keys(view.count, memory, stream);
  rows.user_offsets = device_buffer<std::int64_t>(static_cast<std::size_t>(view.user_count) + 1, memory, stream);
  with_thrust("rows_from_interactions", stream, [&] {
    const std::size_t distinct =
        sort_pairs(policy, view.users, view.items, view.count, rows.heldout.data(), keys.data());
    rows.positive_items = device_buffer<std::int32_t>(distinct, memory, stream);
    write_rows(policy, keys.data(), distinct, view.user_count, rows.user_offsets.data(), rows.positive_items.data());
  });
  if (rows.positive_items.size() == 0) {
    throw option_error("users, items: all rows are held out, no training positive is left; give more rows");
  }
  return rows;
}

}  // namespace negpipe::cuda

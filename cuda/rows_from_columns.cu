#include "rows_from_columns.hpp"

#include "nvtx.hpp"
#include "sort_positives.hpp"
#include "thrust_policy.hpp"

namespace negpipe::cuda {

device_rows rows_from_columns(const std::int32_t* users, const std::int32_t* items, std::size_t count,
                              std::int32_t user_count, device_buffer<std::int32_t> heldout, device_memory& memory,
                              cudaStream_t stream) {
  const nvtx_range range("negpipe rows from columns");
  scratch_allocator scratch(memory, stream);
  const auto policy = thrust::cuda::par_nosync(scratch).on(stream);
  device_buffer<std::uint64_t> keys(count, memory, stream);
  device_rows rows;
  with_thrust("rows_from_columns", [&] {
    const std::size_t distinct = sort_pairs(policy, users, items, count, keys.data());
    rows.user_offsets = device_buffer<std::int64_t>(static_cast<std::size_t>(user_count) + 1, memory, stream);
    rows.positive_items = device_buffer<std::int32_t>(distinct, memory, stream);
    write_rows(policy, keys.data(), distinct, user_count, rows.user_offsets.data(), rows.positive_items.data());
  });
  rows.heldout = std::move(heldout);
  return rows;
}

}  // namespace negpipe::cuda

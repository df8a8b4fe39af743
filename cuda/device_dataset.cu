#include "device_dataset.hpp"

#include <algorithm>

#include "launch.hpp"
#include "nvtx.hpp"

namespace negpipe::cuda {

namespace {

constexpr std::uint64_t addressable_bitset_bytes = (1ULL << 32) * sizeof(std::uint32_t);  // see bitset_form

__device__ std::uint64_t first_index() { return blockIdx.x * static_cast<std::uint64_t>(blockDim.x) + threadIdx.x; }
__device__ std::uint64_t index_stride() { return gridDim.x * static_cast<std::uint64_t>(blockDim.x); }

__global__ void sample_users(const std::int64_t* user_offsets, std::int32_t user_count, std::uint64_t sample_count,
                             std::int32_t* samples) {
  for (std::uint64_t s = first_index(); s < sample_count; s += index_stride()) {
    samples[s] = s + 1 == sample_count
                     ? user_count - 1
                     : core::csr_view::last_user_at(user_offsets, 0, user_count - 1, s << core::csr_view::sample_shift);
  }
}

template <typename Layout>
__global__ void pack_words(core::csr_view csr, std::uint64_t positive_count, std::uint64_t word_count,
                           packed_word* words) {
  for (std::uint64_t w = first_index(); w < word_count; w += index_stride()) {
    words[w] = pack_positives<Layout>(csr, positive_count, w);
  }
}

__global__ void set_bits(core::csr_view csr, std::uint64_t positive_count, std::uint32_t words_per_row,
                         std::uint32_t* words) {
  for (std::uint64_t p = first_index(); p < positive_count; p += index_stride()) {
    const auto item = static_cast<std::uint32_t>(csr.positive_items[p]);
    const auto user = static_cast<std::uint64_t>(index(csr.user_of(p)));
    atomicOr(words + user * words_per_row + item / 32, 1U << (item % 32));
  }
}

__global__ void set_filter(core::csr_view csr, std::uint64_t positive_count, std::uint32_t word_count,
                           std::uint32_t* words) {
  for (std::uint64_t p = first_index(); p < positive_count; p += index_stride()) {
    const auto at = core::bloom_filter_view::slot_of(csr.user_of(p), csr.positive_items[p], word_count);
    atomicOr(words + at.word, at.mask());
  }
}

unsigned grid_over(std::uint64_t count) { return grid_for(core::ceil_div(count, default_block_size)); }

std::uint64_t free_memory_bytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  NEGPIPE_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

std::uint64_t cache_bytes() {
  int device = 0;
  int bytes = 0;
  NEGPIPE_CUDA_CHECK(cudaGetDevice(&device));
  NEGPIPE_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device));
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace

std::uint32_t filter_words(std::uint64_t positive_count, std::uint64_t cache_bytes) {
  const auto fits_half = [&](std::uint64_t words) { return words * sizeof(std::uint32_t) <= cache_bytes / 2; };
  const std::uint32_t words = core::bloom_filter_view::words_for(positive_count);
  const std::uint32_t fewer = core::bloom_filter_view::words_for(core::ceil_div(positive_count, 2));
  return fits_half(fewer) && !fits_half(words) ? fewer : words;
}

membership_form choose_form(const form_choice& sizes) {
  const bool fits = sizes.bitset_bytes <= std::min(sizes.bitset_budget_bytes, addressable_bitset_bytes);
  const bool reads_less = sizes.bitset_bytes <= sizes.filter_bytes || sizes.bitset_bytes <= sizes.cache_bytes / 2;
  return fits && reads_less ? membership_form::bitset : membership_form::bloom_filter;
}

device_dataset device_dataset::upload_async(const dataset& data, std::uint64_t bitset_budget_bytes,
                                            membership_form form, device_memory& memory, cudaStream_t stream) {
  const nvtx_range range("negpipe upload dataset");
  device_rows rows{
      cuda::upload_async(data.user_offsets().data(), data.user_offsets().size(), memory, stream),
      cuda::upload_async(data.positive_items().data(), data.positive_items().size(), memory, stream),
      cuda::upload_async(data.heldout_items().data(), data.heldout_items().size(), memory, stream)};
  return build_async(std::move(rows), data.item_count(), bitset_budget_bytes, form, memory, stream);
}

device_dataset device_dataset::build_async(device_rows rows, std::int32_t item_count,
                                           std::uint64_t bitset_budget_bytes, membership_form form,
                                           device_memory& memory, cudaStream_t stream) {
  const nvtx_range range("negpipe build dataset");
  device_dataset out;
  out.rows_ = std::move(rows);
  device_view& view = out.view_;
  view.user_count = static_cast<std::int32_t>(out.rows_.heldout.size());
  view.item_count = item_count;
  view.positive_count = out.rows_.positive_items.size();
  view.heldout = out.rows_.heldout.data();

  const std::uint64_t sample_count = core::csr_view::sample_count(view.positive_count);
  out.user_samples_ = device_buffer<std::int32_t>(sample_count, memory, stream);
  view.csr = {out.rows_.user_offsets.data(), out.rows_.positive_items.data(), out.user_samples_.data()};
  launcher{stream}("launch of sample_users", sample_users, grid_over(sample_count), view.csr.user_offsets,
                   view.user_count, sample_count, out.user_samples_.data());

  if (narrow_layout::covers(view.user_count, item_count)) {
    out.pack<narrow_layout>(packing::narrow, memory, stream);
  } else if (wide_layout::covers(view.user_count, item_count)) {
    out.pack<wide_layout>(packing::wide, memory, stream);
  }

  const std::uint64_t bits_bytes = bitset_bytes(view.user_count, item_count);
  const std::uint64_t budget_bytes = std::min(bitset_budget_bytes, free_memory_bytes() / 4);
  const std::uint64_t cache = cache_bytes();
  const std::uint32_t words = filter_words(view.positive_count, cache);
  view.form = form != membership_form::automatic
                  ? form
                  : choose_form({bits_bytes, words * sizeof(std::uint32_t), budget_bytes, cache});
  const bool may_have_bitset = bits_bytes <= std::min(budget_bytes, addressable_bitset_bytes);
  if (view.form == membership_form::bitset || (view.form == membership_form::bloom_filter && may_have_bitset)) {
    out.build_bitset(memory, stream);
  }
  if (view.form == membership_form::bloom_filter) out.build_filter(words, memory, stream);
  return out;
}

template <typename Layout>
void device_dataset::pack(packing as, device_memory& memory, cudaStream_t stream) {
  packed_words_ = device_buffer<packed_word>(Layout::word_count(view_.positive_count), memory, stream);
  view_.packed = packed_words_.data();
  view_.packed_as = as;
  launcher{stream}("launch of pack_words", pack_words<Layout>, grid_over(packed_words_.size()), view_.csr,
                   view_.positive_count, std::uint64_t{packed_words_.size()}, packed_words_.data());
}

void device_dataset::build_bitset(device_memory& memory, cudaStream_t stream) {
  const std::uint64_t words = bitset_bytes(view_.user_count, view_.item_count) / sizeof(std::uint32_t);
  bitset_words_ = device_buffer<std::uint32_t>(words, memory, stream);
  view_.bitset = {bitset_words_.data(), core::bitset_view::row_words(static_cast<std::uint32_t>(view_.item_count))};
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(bitset_words_.data(), 0, bitset_words_.size_bytes(), stream));
  launcher{stream}("launch of set_bits", set_bits, grid_over(view_.positive_count), view_.csr, view_.positive_count,
                   view_.bitset.words_per_row, bitset_words_.data());
}

void device_dataset::build_filter(std::uint32_t words, device_memory& memory, cudaStream_t stream) {
  filter_words_ = device_buffer<std::uint32_t>(words, memory, stream);
  view_.filter = {filter_words_.data(), words};
  NEGPIPE_CUDA_CHECK(cudaMemsetAsync(filter_words_.data(), 0, filter_words_.size_bytes(), stream));
  launcher{stream}("launch of set_filter", set_filter, grid_over(view_.positive_count), view_.csr,
                   view_.positive_count, words, filter_words_.data());
}

}  // namespace negpipe::cuda

// A dataset in device memory: the positives as sorted rows, packed for random access, and a membership structure.
#pragma once

#include <cstdint>

#include "membership.hpp"
#include "memory.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/positives.hpp"
#include "packed_positives.hpp"

namespace negpipe::cuda {

/// How positives are packed for random access, see packed_positives.hpp.
enum class packing : std::uint8_t {
  none,    ///< more users than a word names: points are made one by one
  narrow,  ///< narrow_layout
  wide,    ///< wide_layout
};

/// What kernels read, by value. Owns nothing; any number of launches may read it at once.
struct device_view {
  core::csr_view csr;
  const std::int32_t* heldout;
  std::int32_t user_count;
  std::int32_t item_count;
  std::uint64_t positive_count;
  const packed_word* packed;  ///< in the layout that packing names; null when that is none
  packing packed_as;
  core::bitset_view bitset;        ///< words is null unless built
  core::bloom_filter_view filter;  ///< words is null unless form == bloom_filter
  membership_form form;            ///< never automatic

  /// The view that the core's own functions take: exact, by bitset or by search.
  NEGPIPE_HD core::positives_view positives() const {
    return {csr, bitset, {}, heldout, user_count, item_count,
            bitset.words != nullptr ? core::membership::bitset : core::membership::sorted_search};
  }
};

/// The sorted rows alone, in device memory: where a dataset comes from, whoever put it there.
struct device_rows {
  device_buffer<std::int64_t> user_offsets;    ///< [user_count + 1]
  device_buffer<std::int32_t> positive_items;  ///< [positive_count]
  device_buffer<std::int32_t> heldout;         ///< [user_count]
};

/// Sizes and limits by which the automatic form is chosen.
struct form_choice {
  std::uint64_t bitset_bytes;
  std::uint64_t filter_bytes;
  std::uint64_t bitset_budget_bytes;
  std::uint64_t cache_bytes;  ///< the device's L2
};

/// Bitsets within the budget when they read less at random than the filter or stay in half the cache, else the
/// filter: a read that misses the cache costs several times one that does not, and an instruction or two nothing.
/// (MovieLens-1M: 2.9 MB of bitsets, in any cache. MovieLens-20M: 40 MB of filter against 463. Two million users by
/// 850,000 items: 234 GB of bitsets cannot be had.)
membership_form choose_form(const form_choice& sizes);

/// Owns a dataset on the device that was current when it was made. Immutable.
class device_dataset {
 public:
  /// Copies a dataset to the device and builds the rest there. Bitsets are considered up to bitset_budget_bytes and a
  /// quarter of the free device memory. Throws device_memory_error. Does not wait: use the dataset in the stream's
  /// order. The host's arrays must live until the stream has got this far.
  static device_dataset upload_async(const dataset& data, std::uint64_t bitset_budget_bytes, membership_form form,
                                     device_memory& memory, cudaStream_t stream);

  /// Takes over rows that are on the device already. positive_count values in rows; bitset_budget_bytes as above.
  static device_dataset build_async(device_rows rows, std::int32_t item_count, std::uint64_t bitset_budget_bytes,
                                    membership_form form, device_memory& memory, cudaStream_t stream);

  device_view view() const { return view_; }
  /// Bytes of the structure that membership reads at random, and of the packed positives.
  std::uint64_t membership_bytes() const {
    return view_.form == membership_form::bloom_filter ? filter_words_.size_bytes() : bitset_words_.size_bytes();
  }
  std::uint64_t packed_bytes() const { return packed_words_.size_bytes(); }

 private:
  device_dataset() = default;
  template <typename Layout>
  void pack(packing as, device_memory& memory, cudaStream_t stream);
  void build_bitset(device_memory& memory, cudaStream_t stream);
  void build_filter(device_memory& memory, cudaStream_t stream);

  device_rows rows_;
  device_buffer<std::int32_t> user_samples_;
  device_buffer<packed_word> packed_words_;
  device_buffer<std::uint32_t> bitset_words_;
  device_buffer<std::uint32_t> filter_words_;
  device_view view_{};
};

}  // namespace negpipe::cuda

// A dataset in device memory: sorted rows, positives packed for random access, and a membership structure.
#pragma once

#include <cstdint>

#include "membership.hpp"
#include "memory.hpp"
#include "negpipe/core/positives.hpp"
#include "negpipe/positives.hpp"
#include "packed_positives.hpp"

namespace negpipe::cuda {

/// Layout of the positives that are packed for random access; see packed_positives.hpp.
enum class packing : std::uint8_t {
  none,    ///< too many users for a packed word: points are made one by one
  narrow,  ///< narrow_layout
  wide,    ///< wide_layout
};

/// The data that kernels read, passed by value. Non-owning; concurrent launches may read it.
struct device_view {
  core::csr_view csr;
  const std::int32_t* heldout;
  std::int32_t user_count;
  std::int32_t item_count;
  std::uint64_t positive_count;
  const packed_word* packed;  ///< in the layout given by packing; null if that is none
  packing packed_as;
  core::bitset_view bitset;        ///< words is null unless built
  core::bloom_filter_view filter;  ///< words is null unless form is bloom_filter
  membership_form form;            ///< never automatic

  /// Returns the view for the core's own functions: exact, by bitset or by search.
  NEGPIPE_HD core::positives_view positives() const {
    return {csr, bitset, {}, heldout, user_count, item_count,
            bitset.words != nullptr ? core::membership::bitset : core::membership::sorted_search};
  }
};

/// Calls visit with the membership form that kernels use for the data.
template <typename Visit>
void visit_form(const device_view& data, const Visit& visit) {
  switch (data.form) {
    case membership_form::bitset:
      return visit(bitset_form{data.bitset});
    case membership_form::bloom_filter:
      return visit(filter_form{data.filter, data.positives()});
    default:
      return visit(search_form{data.csr});
  }
}

/// Sorted rows in device memory, from any source.
struct device_rows {
  device_buffer<std::int64_t> user_offsets;    ///< [user_count + 1]
  device_buffer<std::int32_t> positive_items;  ///< [positive_count]
  device_buffer<std::int32_t> heldout;         ///< [user_count]
};

/// Returns the number of words of a filter: two bytes per positive, or one if half the cache holds only that.
/// (MovieLens-20M and 60 MB of cache: 20 MB. More absent items must be confirmed, but on an H200 pairs of K = 64 take
/// 0.79 of the time, and points of K = 4 0.89.)
std::uint32_t filter_words(std::uint64_t positive_count, std::uint64_t cache_bytes);

/// Sizes and limits that determine the automatic form.
struct form_choice {
  std::uint64_t bitset_bytes;
  std::uint64_t filter_bytes;
  std::uint64_t bitset_budget_bytes;
  std::uint64_t cache_bytes;  ///< the device's L2
};

/// Returns bitset if the bitsets are within the budget and either read less at random than the filter or fit half the
/// cache, else bloom_filter: a cache miss costs several times a hit, and additional instructions cost almost nothing.
/// (MovieLens-1M: 2.9 MB of bitsets, in any cache. MovieLens-20M: 40 MB of filter or 463 MB of bitsets. Two million
/// users by 850,000 items: 234 GB of bitsets, too large.)
membership_form choose_form(const form_choice& sizes);

/// Owns a dataset on the device that was current at construction. Immutable.
class device_dataset {
 public:
  /// Copies a dataset to the device and builds the structures there. Does not wait: use the result in stream order, and
  /// keep the host's arrays until the stream has reached this point.
  /// - bitset_budget_bytes: also limited to a quarter of the free device memory.
  /// - Throws device_memory_error.
  static device_dataset upload_async(const dataset& data, std::uint64_t bitset_budget_bytes, membership_form form,
                                     device_memory& memory, cudaStream_t stream);

  /// Takes over rows that are on the device. rows holds positive_count values; bitset_budget_bytes as above.
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
  void build_filter(std::uint32_t words, device_memory& memory, cudaStream_t stream);

  device_rows rows_;
  device_buffer<std::int32_t> user_samples_;
  device_buffer<packed_word> packed_words_;
  device_buffer<std::uint32_t> bitset_words_;
  device_buffer<std::uint32_t> filter_words_;
  device_view view_{};
};

}  // namespace negpipe::cuda

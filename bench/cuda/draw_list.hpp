// Figures of draws that are not points: each is compared with the CPU before it is timed.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "memory.hpp"
#include "timing.hpp"

namespace negpipe::bench {

/// Where draws are measured. small: sizes for ptxrun.
struct draw_bench {
  bool small;
  protocol how;
  std::uint64_t bitset_budget_bytes;
  cuda::device_memory& memory;
  cudaStream_t stream;
};

/// What a call makes: `count` values from a batch of `batch` points, rows or users.
struct draw_case {
  std::string work;
  std::string form;          ///< of membership, or "-"
  std::string distribution;  ///< "uniform", "popularity", or "-"
  std::uint32_t negatives;   ///< per positive, row or user
  std::uint64_t batch;
  double count;
};

/// The measured cases, in order.
class draw_list {
 public:
  /// failures: a JSON list, to which cases that differ from the CPU are added.
  draw_list(const draw_bench& on, nlohmann::ordered_json& failures) : on_(on), failures_(failures) {}

  const draw_bench& on() const { return on_; }

  /// Makes run 0, calls check, then times runs by the protocol of draw_bench: fewer, at least 5, if they take longer
  /// than 0.2 s together. A case whose check throws is not measured.
  void add(const draw_case& what, const std::function<void(int run)>& make, const std::function<void()>& check);
  /// The same by another protocol.
  void add(const draw_case& what, const protocol& how, const std::function<void(int run)>& make,
           const std::function<void()>& check);

  nlohmann::ordered_json take() { return std::move(list_); }

 private:
  bool is_correct(const draw_case& what, const std::function<void(int)>& make, const std::function<void()>& check);
  void measure(const draw_case& what, const protocol& how, const std::function<void(int)>& make);

  const draw_bench& on_;
  nlohmann::ordered_json& failures_;
  nlohmann::ordered_json list_ = nlohmann::ordered_json::array();
};

/// Throws unless bytes in device memory equal those of the host. The work must be done.
void check_bytes(const void* made, const void* wanted, std::size_t bytes);

}  // namespace negpipe::bench

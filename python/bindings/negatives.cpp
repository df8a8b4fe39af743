// NegativeSampler: what negpipe.negatives is made of.
#include "negpipe/negative_sampler.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "bindings.hpp"
#include "weights.hpp"

namespace negpipe::python {

namespace {

template <typename T>
using flat_array = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using user_array = std::variant<flat_array<std::int32_t>, flat_array<std::int64_t>>;
/// Any number of dimensions and any strides: a broadcast array repeats values by strides of 0.
using broadcast_array = nb::ndarray<const std::int32_t, nb::device::cpu>;

template <typename T>
std::span<const T> values_of(const flat_array<T>& array) {
  return {array.data(), array.size()};
}

/// A NumPy array that owns its memory.
template <typename T>
class new_array {
 public:
  explicit new_array(std::size_t count) : memory_(new T[count]), count_(count) {}

  std::span<T> values() { return {memory_.get(), count_}; }
  nb::object release(const std::vector<std::size_t>& shape) {
    T* const memory = memory_.release();
    const nb::capsule owner(memory, [](void* held) noexcept { delete[] static_cast<T*>(held); });
    return nb::cast(nb::ndarray<nb::numpy, T>(memory, shape.size(), shape.data(), owner));
  }

 private:
  std::unique_ptr<T[]> memory_;
  std::size_t count_;
};

negative_sampler make(const dataset& data, std::uint64_t seed, const weight_array& weights,
                      std::optional<double> alpha, unsigned threads, std::uint64_t bitset_budget) {
  return run_interruptibly([&](const run_control& control) {
    return negative_sampler(data,
                            {.seed = seed,
                             .weights = weights_of(data, weights, alpha),
                             .threads = threads,
                             .bitset_budget = bitset_budget},
                            control);
  });
}

/// int32 [users * K]. users: none means shared, [K].
nb::object sample(const negative_sampler& source, const std::optional<user_array>& users, std::uint32_t negatives,
                  std::uint32_t at, std::uint64_t offset, bool distinct, const flat_array<std::int32_t>& excluded) {
  const draw_call call{negatives, at, offset, distinct, values_of(excluded)};
  const std::size_t rows = users ? std::visit([](const auto& array) { return array.size(); }, *users) : 1;
  new_array<std::int32_t> out(rows * negatives);
  {
    const nb::gil_scoped_release released;
    if (users) {
      std::visit([&](const auto& array) { source.sample(values_of(array), call, out.values()); }, *users);
    } else {
      source.sample_shared(call, out.values());
    }
  }
  return out.release({rows * negatives});
}

/// Copies a broadcast array's values in order, piece by piece.
class value_reader {
 public:
  explicit value_reader(const broadcast_array& array) : array_(array), index_(array.ndim(), 0) {}

  void read(std::span<std::int32_t> out) {
    const std::size_t last = array_.ndim() - 1;
    for (std::size_t done = 0; done < out.size();) {
      const std::size_t count = std::min(out.size() - done, array_.shape(last) - index_[last]);
      const std::int64_t step = array_.stride(last);
      const std::int32_t* from = array_.data();
      for (std::size_t d = 0; d <= last; ++d) from += static_cast<std::int64_t>(index_[d]) * array_.stride(d);
      for (std::size_t i = 0; i < count; ++i) out[done + i] = from[static_cast<std::int64_t>(i) * step];
      done += count;
      advance(count);
    }
  }

 private:
  void advance(std::size_t count) {
    std::size_t d = array_.ndim() - 1;
    index_[d] += count;
    for (; d > 0 && index_[d] == array_.shape(d); --d) {
      index_[d] = 0;
      ++index_[d - 1];
    }
  }

  const broadcast_array& array_;
  std::vector<std::size_t> index_;
};

/// Calls work(users, items, out) for pieces of two arrays of one shape with at least one dimension.
template <typename T, typename Work>
nb::object map_pairs(const broadcast_array& users, const broadcast_array& items, const Work& work) {
  constexpr std::size_t max_piece = std::size_t{1} << 18;
  const std::vector<std::size_t> shape(users.shape_ptr(), users.shape_ptr() + users.ndim());
  new_array<T> out(users.size());
  {
    const nb::gil_scoped_release released;
    value_reader read_users(users);
    value_reader read_items(items);
    std::vector<std::int32_t> some_users(std::min(max_piece, users.size()));
    std::vector<std::int32_t> some_items(some_users.size());
    for (std::size_t done = 0; done < users.size();) {
      const std::size_t count = std::min(max_piece, users.size() - done);
      read_users.read(std::span(some_users).first(count));
      read_items.read(std::span(some_items).first(count));
      work(std::span<const std::int32_t>(some_users).first(count),
           std::span<const std::int32_t>(some_items).first(count), out.values().subspan(done, count));
      done += count;
    }
  }
  return out.release(shape);
}

nb::object contains(const negative_sampler& source, const broadcast_array& users, const broadcast_array& items) {
  return map_pairs<std::uint8_t>(users, items, [&](auto some_users, auto some_items, auto found) {
    source.contains(some_users, some_items, found);
  });
}

nb::object log_q(const negative_sampler& source, const broadcast_array& users, const broadcast_array& items) {
  return map_pairs<float>(users, items, [&](auto some_users, auto some_items, auto values) {
    source.log_q(some_users, some_items, values);
  });
}

/// uint32 [num_items], or None if uniform.
nb::object weights(const negative_sampler& source) {
  const std::span<const std::uint32_t> values = source.weights().values();
  if (values.empty()) return nb::none();
  new_array<std::uint32_t> copy(values.size());
  std::copy(values.begin(), values.end(), copy.values().begin());
  return copy.release({values.size()});
}

}  // namespace

void bind_negatives(nb::module_& module) {
  nb::class_<negative_sampler>(module, "NegativeSampler")
      .def_prop_ro("seed", &negative_sampler::seed)
      .def_prop_ro("description", &negative_sampler::description)
      .def_prop_ro("weights", &weights, "uint32 [num_items], or None if uniform.")
      .def_prop_ro("weights_digest", [](const negative_sampler& source) { return source.weights().digest(); })
      .def("with_threads", &negative_sampler::with_threads, nb::arg("threads"))
      .def("sample", &sample, nb::arg("users").none(), nb::kw_only(), nb::arg("negatives"), nb::arg("at"),
           nb::arg("offset"), nb::arg("distinct"), nb::arg("excluded"))
      .def("contains", &contains, nb::arg("users"), nb::arg("items"))
      .def("log_q", &log_q, nb::arg("users"), nb::arg("items"));
  module.def("negative_sampler", &make, nb::arg("data"), nb::kw_only(), nb::arg("seed"), nb::arg("weights").none(),
             nb::arg("alpha").none(), nb::arg("threads"), nb::arg("bitset_budget"));
}

}  // namespace negpipe::python

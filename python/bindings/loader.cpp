// BatchSource and BatchStream: what negpipe.loader is made of.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "batch_maker.hpp"
#include "batch_stream.hpp"
#include "bindings.hpp"
#include "buffer_pool.hpp"
#include "candidates.hpp"
#include "negpipe/plan.hpp"
#include "negpipe/shards.hpp"
#include "shard_makers.hpp"
#include "weights.hpp"

namespace negpipe::python {

namespace {

/// NumPy arrays over a block, which lives as long as one of them.
nb::tuple arrays_over(const std::vector<column>& columns, buffer_pool::block block) {
  std::byte* memory = block.get();
  const nb::capsule owner(new buffer_pool::block(std::move(block)),
                          [](void* held) noexcept { delete static_cast<buffer_pool::block*>(held); });
  const std::vector<std::size_t> offsets = column_offsets(columns);
  nb::list arrays;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    arrays.append(nb::ndarray<nb::numpy>(memory + offsets[i], columns[i].shape.size(), columns[i].shape.data(), owner,
                                         nullptr, dtype_of(columns[i].type)));
  }
  return nb::tuple(arrays);
}

/// Batches of one rank, and the memory for them. Members are called with the GIL.
class batch_source {
 public:
  explicit batch_source(std::shared_ptr<const batch_maker> maker) : maker_(std::move(maker)) {}

  const batch_maker& maker() const { return *maker_; }

  nb::tuple make(std::uint32_t epoch, std::uint64_t batch) {
    const std::shared_ptr<buffer_pool> memory = pool();
    buffer_pool::block block;
    {
      const nb::gil_scoped_release released;
      block = make_block(*maker_, *memory, epoch, batch);
    }
    return arrays_over(maker_->columns(), std::move(block));
  }

  void fill(std::uint32_t epoch, std::uint64_t batch, const std::vector<nb::ndarray<nb::c_contig>>& out) const {
    for (const auto& array : out) {
      if (array.device_type() != nb::device::cpu::value) throw option_error("`out`: an array is not in CPU memory");
    }
    const std::vector<void*> targets = targets_in(maker_->columns(), out);
    const nb::gil_scoped_release released;
    maker_->make(epoch, batch, targets);
  }

  std::unique_ptr<batch_stream> stream(std::uint32_t epoch, std::uint64_t first, std::uint64_t step,
                                       unsigned prefetch) {
    return std::make_unique<batch_stream>(maker_, pool(), stream_range{epoch, first, step}, prefetch);
  }

 private:
  static constexpr std::size_t max_idle_blocks = 16;

  /// Another one in a forked process.
  const std::shared_ptr<buffer_pool>& pool() {
    if (!pool_ || !pool_->belongs_to_this_process()) {
      pool_ = std::make_shared<buffer_pool>(block_bytes(maker_->columns()), max_idle_blocks);
    }
    return pool_;
  }

  std::shared_ptr<const batch_maker> maker_;
  std::shared_ptr<buffer_pool> pool_;
};

/// The next batch of a stream and its columns, for Python.
class array_stream {
 public:
  array_stream(std::unique_ptr<batch_stream> stream, std::vector<column> columns)
      : stream_(std::move(stream)), columns_(std::move(columns)) {}

  ~array_stream() { close(); }

  /// A tuple of arrays, or None after the last batch.
  nb::object next() {
    std::optional<buffer_pool::block> block;
    {
      const nb::gil_scoped_release released;
      block = stream_->next();
    }
    if (!block) return nb::none();
    return arrays_over(columns_, std::move(*block));
  }

  void close() {
    const nb::gil_scoped_release released;
    stream_->close();
  }

 private:
  std::unique_ptr<batch_stream> stream_;
  std::vector<column> columns_;
};

padding_policy padding_of(const std::string& name) {
  for (const auto& [policy, known] : padding_names) {
    if (name == known) return policy;
  }
  throw option_error("`padding`: " + name + " given; expected one of resample, mask, drop");
}

batch_layout layout_of(const std::string& name) {
  for (const auto& [layout, known] : layout_names) {
    if (name == known) return layout;
  }
  throw option_error("`layout`: " + name + " given; expected one of pointwise, pairwise");
}

/// For batches that several threads make at once, each alone: one thread a fill.
sampler_options training_options_of(std::uint64_t seed, std::uint32_t num_negatives, std::uint64_t batch_size,
                                    const std::string& padding, const std::string& layout,
                                    std::uint64_t bitset_budget) {
  return {.seed = seed,
          .negatives = num_negatives,
          .batch_size = batch_size,
          .padding = padding_of(padding),
          .layout = layout_of(layout),
          .device = "cpu",
          .threads = 1,
          .bitset_budget = bitset_budget};
}

sampler training_sampler(const dataset& data, std::uint64_t seed, std::uint32_t num_negatives,
                         std::uint64_t batch_size, const std::string& padding, const std::string& layout,
                         std::uint64_t bitset_budget, const weight_array& weights, std::optional<double> alpha) {
  sampler_options options = training_options_of(seed, num_negatives, batch_size, padding, layout, bitset_budget);
  return run_interruptibly([&](const run_control& control) {
    options.weights = weights_of(data, weights, alpha);
    return sampler(data, options, control);
  });
}

heldout_set set_of(const std::string& name) {
  if (name == "test") return heldout_set::test;
  if (name == "validation") return heldout_set::validation;
  throw option_error("`split`: " + name + " given; expected one of test, validation");
}

infeasible_policy infeasible_of(const std::string& name) {
  if (name == "error") return infeasible_policy::error;
  if (name == "skip") return infeasible_policy::skip;
  if (name == "fewer") return infeasible_policy::fewer;
  throw option_error("`infeasible`: " + name + " given; expected one of error, skip, fewer");
}

sampler_options evaluation_options_of(std::uint64_t seed, std::uint32_t num_negatives, std::uint64_t batch_size,
                                      bool mlperf, const std::string& split, const std::string& infeasible,
                                      std::uint64_t bitset_budget) {
  return {.seed = seed,
          .evaluation = evaluation_options{.negatives = num_negatives,
                                           .batch_size = batch_size,
                                           .mlperf = mlperf,
                                           .infeasible = infeasible_of(infeasible),
                                           .set = set_of(split)},
          .device = "cpu",
          .threads = 1,
          .bitset_budget = bitset_budget};
}

sampler evaluation_sampler(const dataset& data, std::uint64_t seed, std::uint32_t num_negatives,
                           std::uint64_t batch_size, bool mlperf, const std::string& split,
                           const std::string& infeasible, std::uint64_t bitset_budget, const weight_array& weights,
                           std::optional<double> alpha) {
  sampler_options options =
      evaluation_options_of(seed, num_negatives, batch_size, mlperf, split, infeasible, bitset_budget);
  return run_interruptibly([&](const run_control& control) {
    options.evaluation->weights = weights_of(data, weights, alpha);
    return sampler(data, options, control);
  });
}

batch_source training_source(const sampler& source, std::uint64_t rank, std::uint64_t world_size,
                             const std::string& users, const std::string& items, const std::string& labels) {
  return batch_source(make_training_maker(source, types_of(users, items, labels), rank, world_size));
}

batch_source evaluation_source(const sampler& source, std::uint64_t rank, std::uint64_t world_size,
                               const std::string& users, const std::string& items) {
  return batch_source(make_evaluation_maker(source, types_of(users, items, "int8"), rank, world_size));
}

// ---- shards

void refuse_empty_shards(const sharded_dataset& shards) {
  const auto empty = std::ranges::find(shards.positive_counts(), std::uint64_t{0});
  if (empty == shards.positive_counts().end()) return;
  throw option_error("`dataset`: shard " + std::to_string(empty - shards.positive_counts().begin()) +
                     " has no training positives; write fewer shards");
}

/// Checks the options of a loader of shards before any shard is loaded. Throws option_error where the sampler or source
/// of a dataset with these counts would.
void check_training_shards(const sharded_dataset& shards, std::uint32_t num_negatives, std::uint64_t batch_size,
                           const std::string& padding, const std::string& layout, const std::string& users,
                           const std::string& items, const std::string& labels) {
  static_cast<void>(padding_of(padding));
  check_items_fit(shards.item_count(), types_of(users, items, labels).items);
  refuse_empty_shards(shards);
  static_cast<void>(
      plan_training(shards.positive_count(), shards.item_count(),
                    {.negatives = num_negatives, .batch_size = batch_size, .layout = layout_of(layout)}));
}

void check_evaluation_shards(const sharded_dataset& shards, const std::string& split, const std::string& infeasible,
                             const std::string& users, const std::string& items) {
  static_cast<void>(set_of(split));
  static_cast<void>(infeasible_of(infeasible));
  check_items_fit(shards.item_count(), types_of(users, items, "int8").items);
  refuse_empty_shards(shards);
}

item_weights weights_in(std::int32_t item_count, const weight_array& weights) {
  return weights_of(item_count, weights);
}

using count_array = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

item_weights weights_by_counts(const count_array& counts, double alpha) {
  return popularity_weights(std::span(counts.data(), counts.size()), alpha);
}

/// range: first shard, number of shards, threads that load them. batch_size and bitset_budget: of a shard.
using given_range = std::tuple<std::uint32_t, std::uint32_t, unsigned>;

shard_range range_of(const given_range& given) {
  return {std::get<0>(given), std::get<1>(given), std::get<2>(given)};
}

shard_samplers training_shards(const sharded_dataset& shards, const given_range& range, std::uint64_t batch_count,
                               std::uint64_t seed, std::uint32_t num_negatives, std::uint64_t batch_size,
                               const std::string& padding, const std::string& layout, std::uint64_t bitset_budget,
                               const item_weights& weights) {
  sampler_options all = training_options_of(seed, num_negatives, batch_size, padding, layout, bitset_budget);
  all.weights = weights;
  const auto options = [&](std::uint32_t shard, const dataset&) {
    sampler_options own = all;
    own.seed = shard_seed(seed, shard, shards.shard_count());
    return own;
  };
  return run_interruptibly([&](const run_control& control) {
    return shard_samplers{load_samplers(shards, range_of(range), options, control), batch_count};
  });
}

shard_samplers evaluation_shards(const sharded_dataset& shards, const given_range& range, std::uint64_t batch_count,
                                 std::uint64_t seed, std::uint32_t num_negatives, std::uint64_t batch_size, bool mlperf,
                                 const std::string& split, const std::string& infeasible, std::uint64_t bitset_budget,
                                 const item_weights& weights) {
  sampler_options all =
      evaluation_options_of(seed, num_negatives, batch_size, mlperf, split, infeasible, bitset_budget);
  all.evaluation->weights = weights;
  const auto options = [&](std::uint32_t, const dataset& data) {
    sampler_options own = all;
    own.evaluation->first_user = data.first_user();
    return own;
  };
  return run_interruptibly([&](const run_control& control) {
    return shard_samplers{load_samplers(shards, range_of(range), options, control), batch_count};
  });
}

batch_source shard_training_source(const shard_samplers& source, const std::string& users, const std::string& items,
                                   const std::string& labels) {
  return batch_source(make_shard_training_maker(source, types_of(users, items, labels)));
}

batch_source shard_evaluation_source(const shard_samplers& source, const std::string& users,
                                     const std::string& items) {
  return batch_source(make_shard_evaluation_maker(source, types_of(users, items, "int8")));
}

template <std::size_t dimensions>
using index_array = nb::ndarray<const std::int32_t, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;

std::shared_ptr<candidates> checked_candidates(const dataset& data, bool validation, const index_array<1>& users,
                                               const index_array<2>& items) {
  const nb::gil_scoped_release released;
  return std::make_shared<candidates>(data, validation ? heldout_set::validation : heldout_set::test,
                                      std::span(users.data(), users.size()),
                                      std::span(items.data(), items.size()));
}

batch_source candidate_source(std::shared_ptr<candidates> rows, std::size_t rows_per_batch, std::uint64_t rank,
                              std::uint64_t world_size, const std::string& users, const std::string& items) {
  return batch_source(
      make_candidate_maker(std::move(rows), types_of(users, items, "int8"), rows_per_batch, rank, world_size));
}

}  // namespace

namespace {

void bind_shards(nb::module_& module) {
  nb::class_<item_weights>(module, "ItemWeights", "Weights of items, with their tables.")
      .def_prop_ro("digest", &item_weights::digest);
  module.def("item_weights", &weights_in, nb::arg("item_count"), nb::arg("weights").none(), "None: uniform.");
  module.def("popularity_weights", &weights_by_counts, nb::arg("counts"), nb::arg("alpha"));
  nb::class_<shard_samplers>(module, "ShardSamplers", "The samplers of a rank's shards.");
  module.def("check_training_shards", &check_training_shards, nb::arg("shards"), nb::kw_only(),
             nb::arg("num_negatives"), nb::arg("batch_size"), nb::arg("padding"), nb::arg("layout"),
             nb::arg("user_dtype"), nb::arg("item_dtype"), nb::arg("label_dtype"));
  module.def("check_evaluation_shards", &check_evaluation_shards, nb::arg("shards"), nb::kw_only(), nb::arg("split"),
             nb::arg("infeasible"), nb::arg("user_dtype"), nb::arg("item_dtype"));
  module.def("training_shards", &training_shards, nb::arg("shards"), nb::arg("range"), nb::arg("batch_count"),
             nb::kw_only(), nb::arg("seed"), nb::arg("num_negatives"), nb::arg("batch_size"), nb::arg("padding"),
             nb::arg("layout"), nb::arg("bitset_budget"), nb::arg("weights"));
  module.def("evaluation_shards", &evaluation_shards, nb::arg("shards"), nb::arg("range"), nb::arg("batch_count"),
             nb::kw_only(), nb::arg("seed"), nb::arg("num_negatives"), nb::arg("batch_size"), nb::arg("mlperf"),
             nb::arg("split"), nb::arg("infeasible"), nb::arg("bitset_budget"), nb::arg("weights"));
  module.def("shard_training_source", &shard_training_source, nb::arg("samplers"), nb::kw_only(),
             nb::arg("user_dtype"), nb::arg("item_dtype"), nb::arg("label_dtype"));
  module.def("shard_evaluation_source", &shard_evaluation_source, nb::arg("samplers"), nb::kw_only(),
             nb::arg("user_dtype"), nb::arg("item_dtype"));
}

}  // namespace

void bind_loader(nb::module_& module) {
  nb::class_<sampler>(module, "Sampler")
      .def_prop_ro("batch_count", &sampler::batch_count)
      .def_prop_ro("evaluation_batch_count", &sampler::evaluation_batch_count)
      .def_prop_ro("weights_digest", [](const sampler& source) { return source.options().weights.digest(); })
      .def_prop_ro("eval_weights_digest",
                   [](const sampler& source) { return source.options().evaluation.value().weights.digest(); })
      .def_prop_ro("device", &sampler::device);
  nb::class_<array_stream>(module, "BatchStream")
      .def("next", &array_stream::next, "A tuple of arrays, or None after the last batch.")
      .def("close", &array_stream::close);
  nb::class_<batch_source>(module, "BatchSource")
      .def_prop_ro("batch_count", [](const batch_source& source) { return source.maker().batch_count(); })
      .def_prop_ro("names", [](const batch_source& source) { return names_of(source.maker().columns()); })
      .def("make", &batch_source::make, nb::arg("epoch"), nb::arg("batch"))
      .def("fill", &batch_source::fill, nb::arg("epoch"), nb::arg("batch"),
           nb::arg("out").noconvert())  // a converted copy would be filled in vain
      .def(
          "stream",
          [](batch_source& source, std::uint32_t epoch, std::uint64_t first, std::uint64_t step, unsigned prefetch) {
            auto batches = source.stream(epoch, first, step, prefetch);
            return std::make_unique<array_stream>(std::move(batches), source.maker().columns());
          },
          nb::arg("epoch"), nb::arg("first"), nb::arg("step"), nb::arg("prefetch"));
  nb::class_<candidates>(module, "Candidates")
      .def(nb::new_(&checked_candidates), nb::arg("data"), nb::arg("validation"), nb::arg("users"), nb::arg("items"));
  module.def("candidate_source", &candidate_source, nb::arg("candidates"), nb::arg("rows"), nb::arg("rank"),
             nb::arg("world_size"), nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"));
  module.def("training_sampler", &training_sampler, nb::arg("data"), nb::kw_only(), nb::arg("seed"),
             nb::arg("num_negatives"), nb::arg("batch_size"), nb::arg("padding"), nb::arg("layout"),
             nb::arg("bitset_budget"), nb::arg("weights").none(), nb::arg("alpha").none());
  bind_shards(module);
  module.def("evaluation_sampler", &evaluation_sampler, nb::arg("data"), nb::kw_only(), nb::arg("seed"),
             nb::arg("num_negatives"), nb::arg("batch_size"), nb::arg("mlperf"), nb::arg("split"),
             nb::arg("infeasible"), nb::arg("bitset_budget"), nb::arg("weights").none(), nb::arg("alpha").none());
  module.def("training_source", &training_source, nb::arg("sampler"), nb::arg("rank"), nb::arg("world_size"),
             nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"), nb::arg("label_dtype"));
  module.def("evaluation_source", &evaluation_source, nb::arg("sampler"), nb::arg("rank"), nb::arg("world_size"),
             nb::kw_only(), nb::arg("user_dtype"), nb::arg("item_dtype"));
}

}  // namespace negpipe::python

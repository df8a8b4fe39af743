#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "captured_graph.hpp"
#include "checked_batch.hpp"
#include "device_dataset.hpp"
#include "draws.hpp"
#include "duplicate_masks.hpp"
#include "host_costs.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/device.hpp"
#include "negpipe/error.hpp"
#include "take_batches.hpp"

namespace negpipe::bench {

namespace {

// Columns of either layout in device memory.
struct sampler_columns {
  std::uint64_t batch;
  std::uint32_t negatives;
  device_batch points;
  cuda::device_buffer<std::int8_t> valid;
  cuda::device_buffer<std::byte> drawn;

  sampler_columns(const training_plan& plan, item_type width, const draw_bench& on, std::uint64_t batches = 1)
      : batch(plan.batch_size * batches),
        negatives(plan.negatives),
        points(batch, width, on.memory, on.stream),
        valid(plan.pad == padding_policy::mask ? batch : 0, on.memory, on.stream),
        drawn(plan.layout == batch_layout::pairwise ? batch * negatives * item_bytes(width) : 0, on.memory,
              on.stream) {}

  training_columns training() {
    return {{points.users.data(), batch},
            {points.items.data(), points.width, batch},
            {points.flags.data(), batch},
            {valid.data(), valid.size()}};
  }
  pair_columns pairs() {
    return {{points.users.data(), batch},
            {points.items.data(), points.width, batch},
            {drawn.data(), points.width, batch * negatives},
            {}};
  }

  // Throw unless the columns equal those of the CPU, from position `first` of cycle 0 on.
  void check_points(const backend& cpu, const training_plan& plan, std::uint64_t first) {
    training_batch wanted(batch, points.width, valid.size() != 0);
    cpu.fill_training(plan, make_cycle_key(plan, 0), first, batch, wanted.columns());
    check_bytes(points.users.data(), wanted.users().data(), 4 * batch);
    check_bytes(points.items.data(), wanted.items().data(), wanted.items().size_bytes());
    check_bytes(points.flags.data(), wanted.labels().data(), batch);
    check_bytes(valid.data(), wanted.valid().data(), valid.size());
  }
  void check_pairs(const backend& cpu, const training_plan& plan, std::uint64_t first) {
    pair_batch wanted(batch, negatives, points.width, false);
    cpu.fill_pairs(plan, make_cycle_key(plan, 0), first, batch, wanted.columns());
    check_bytes(points.users.data(), wanted.users().data(), 4 * batch);
    check_bytes(points.items.data(), wanted.items().data(), wanted.items().size_bytes());
    check_bytes(drawn.data(), wanted.negatives().data(), wanted.negatives().size_bytes());
  }
};

struct sampler_bench {
  draw_list& list;
  const positives_index& index;
  const backend& cpu;
  const char* form;  ///< what device_sampler chooses

  const draw_bench& on() const { return list.on(); }
  const dataset& source() const { return index.source(); }
  item_type width() const { return item_type_for(source().item_count()); }
  draw_case what(const char* work, const training_plan& plan, double count) const {
    return {work, form, "uniform", plan.negatives, plan.batch_size, count};
  }
};

// Batches in order by a replay, as a graph, and one by one without: latency.
void add_replay(const sampler_bench& of, const device_sampler& sampler) {
  const draw_bench& on = of.on();
  const training_plan& plan = sampler.plan();
  sampler_columns out(plan, of.width(), on);
  const auto points = static_cast<double>(plan.batch_size);
  const auto check = [&] { out.check_points(of.cpu, plan, 0); };
  of.list.add(
      of.what("fill", plan, points),
      [&](int run) {
        sampler.fill(0, static_cast<std::uint64_t>(run) % sampler.batch_count(), out.training(), on.stream);
      },
      check);
  const device_replay replay = sampler.make_replay();
  const cuda::captured_graph graph(on.stream, [&] { replay.fill_next(out.training(), on.stream); });
  of.list.add(of.what("replay by graph", plan, points), [&](int) { graph.launch(on.stream); }, check);
}

// The pairwise layout has no replay: a graph of one fixed batch.
void add_pair_graph(const sampler_bench& of, const device_sampler& sampler) {
  const draw_bench& on = of.on();
  const training_plan& plan = sampler.plan();
  sampler_columns out(plan, of.width(), on);
  const double draws = static_cast<double>(plan.batch_size) * plan.negatives;
  const auto check = [&] { out.check_pairs(of.cpu, plan, 0); };
  of.list.add(
      of.what("fill of pairs", plan, draws),
      [&](int run) {
        sampler.fill(0, static_cast<std::uint64_t>(run) % sampler.batch_count(), out.pairs(), on.stream);
      },
      check);
  const cuda::captured_graph graph(on.stream, [&] { sampler.fill(0, 0, out.pairs(), on.stream); });
  of.list.add(of.what("pairs by graph", plan, draws), [&](int) { graph.launch(on.stream); }, check);
}

void add_small_batches(const sampler_bench& of) {
  const draw_bench& on = of.on();
  for (const std::uint64_t batch : {4096ULL, 65'536ULL}) {
    sampler_options options{.seed = 1, .batch_size = on.small ? batch / 64 : batch, .padding = padding_policy::drop};
    options.bitset_budget = on.bitset_budget_bytes;
    add_replay(of, device_sampler(of.source(), options, {.stream = on.stream}));
    options.layout = batch_layout::pairwise;
    add_pair_graph(of, device_sampler(of.source(), options, {.stream = on.stream}));
  }
}

// The last batch, the first points of which are plain.
void add_padding(const sampler_bench& of, padding_policy padding, const char* work) {
  const draw_bench& on = of.on();
  sampler_options options{.seed = 1, .batch_size = on.small ? 4096ULL : 65'536ULL, .padding = padding};
  options.bitset_budget = on.bitset_budget_bytes;
  const device_sampler sampler(of.source(), options, {.stream = on.stream});
  const training_plan& plan = sampler.plan();
  const std::uint64_t first = plan.padded_count() - plan.batch_size;
  sampler_columns out(plan, of.width(), on);
  of.list.add(
      of.what(work, plan, static_cast<double>(plan.batch_size)),
      [&](int) { sampler.fill_points(0, first, plan.batch_size, out.training(), on.stream); },
      [&] { out.check_points(of.cpu, plan, first); });
}

// The first kernel of a replay, alone.
void add_take_batches(const sampler_bench& of, unsigned batches) {
  const draw_bench& on = of.on();
  const training_plan plan = plan_training(of.source(), {1, 4, 1, 1024, padding_policy::drop});
  sampler_columns out(plan, of.width(), on, batches);
  const batch_cursor begin{0, 0};
  const std::vector<cuda::cursor_state> initial(batches, cuda::initial_state(plan));
  auto cursor = cuda::upload_async(&begin, 1, on.memory, on.stream);
  auto states = cuda::upload_async(initial.data(), batches, on.memory, on.stream);
  of.list.add({"cursors of a replay", "-", "-", plan.negatives, batches, static_cast<double>(batches)},
              [&](int) {
                cuda::launch_take_batches(plan, cursor.data(), states.data(), batches, out.points.training(),
                                          {on.stream});
              },
              [&] {
                const core::cycle_key key = make_cycle_key(plan, 0);
                for (unsigned k = 0; k < batches; ++k) {
                  const std::uint64_t first = plan.first_position(k);
                  check_bytes(&states.data()[k].key.order.word, &key.order.word, 16);
                  check_bytes(&states.data()[k].range.first, &first, sizeof first);
                }
                const std::uint64_t next = batches;
                check_bytes(&cursor.data()->batch, &next, sizeof next);
              });
}

template <typename Item>
void add_masks(const sampler_bench& of, std::uint64_t length) {
  const draw_bench& on = of.on();
  const std::uint64_t rows = (on.small ? 1ULL << 15 : 1ULL << 24) / length;
  const auto item_count = static_cast<std::uint32_t>(of.source().item_count());
  std::vector<Item> items;
  std::vector<std::int8_t> wanted;
  std::mt19937 generator(1);
  std::vector<std::uint64_t> last_row(item_count, rows);
  for (std::uint64_t i = 0; i < rows * length; ++i) {
    const auto item = static_cast<std::uint32_t>(generator() % item_count);
    items.push_back(static_cast<Item>(item));
    wanted.push_back(last_row[item] == i / length ? 1 : 0);
    last_row[item] = i / length;
  }
  const auto on_device = cuda::upload_async(items.data(), items.size(), on.memory, on.stream);
  cuda::device_buffer<std::int8_t> mask(items.size(), on.memory, on.stream);
  cuda::device_buffer<std::byte> workspace(
      cuda::duplicate_workspace_bytes(of.source().item_count(), rows, length), on.memory, on.stream);
  of.list.add({"duplicate masks", "-", "-", static_cast<std::uint32_t>(length), rows,
               static_cast<double>(rows * length)},
              [&](int) {
                cuda::mark_duplicates_async(on_device.data(), of.width(), of.source().item_count(), rows, length,
                                            mask.data(), workspace.data(), {on.stream});
              },
              [&] { check_bytes(mask.data(), wanted.data(), wanted.size()); });
}

// The whole constructor, with work of the host and waits, so all its runs count as late.
void add_builds(const sampler_bench& of) {
  const draw_bench& on = of.on();
  const reversed_interactions rows(of.source(), on.memory, on.stream);
  sampler_options options{.seed = 1, .batch_size = 1024, .padding = padding_policy::drop};
  options.bitset_budget = on.bitset_budget_bytes;
  std::optional<device_sampler> sampler;
  const protocol how{1, on.small ? 2 : 5};
  const auto check = [&] {
    sampler_columns out(sampler->plan(), of.width(), on);
    sampler->fill(0, 0, out.training(), on.stream);
    NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(on.stream));
    out.check_points(of.cpu, sampler->plan(), 0);
  };
  const auto count = static_cast<double>(of.source().positive_count());
  const auto what = [&](const char* work) {
    return draw_case{work, of.form, "-", 0, of.source().positive_count(), count};
  };
  of.list.add(what("build from interactions"), how,
              [&](int) { sampler.emplace(rows.view(), options, device_options{.stream = on.stream}); }, check);
  of.list.add(what("build from a dataset"), how,
              [&](int) { sampler.emplace(of.source(), options, device_options{.stream = on.stream}); }, check);
}

}  // namespace

void add_sampler_work(draw_list& list, const positives_index& index) {
  const draw_bench& on = list.on();
  const auto cpu = make_backend("cpu", index, 0);
  const char* form = cuda::name_of(cuda::device_dataset::upload_async(index.source(), on.bitset_budget_bytes,
                                                                      cuda::membership_form::automatic, on.memory,
                                                                      on.stream)
                                       .view()
                                       .form);
  const sampler_bench of{list, index, *cpu, form};
  add_small_batches(of);
  add_padding(of, padding_policy::resample, "last batch, resampled");
  add_padding(of, padding_policy::mask, "last batch, masked");
  for (const unsigned batches : {1U, 16U}) add_take_batches(of, batches);
  for (const std::uint64_t length : {100ULL, 1000ULL, 8192ULL}) {
    of.width() == item_type::uint16 ? add_masks<std::uint16_t>(of, length) : add_masks<std::int32_t>(of, length);
  }
  add_builds(of);
}

}  // namespace negpipe::bench

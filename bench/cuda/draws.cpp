#include "draws.hpp"

#include <algorithm>
#include <memory>

#include "checked_batch.hpp"
#include "device_dataset.hpp"
#include "device_weights.hpp"
#include "fill_eval.hpp"
#include "fill_pairs.hpp"
#include "fill_points.hpp"
#include "negpipe/backend.hpp"
#include "negpipe/batch.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/plan.hpp"

namespace negpipe::bench {

namespace {

using json = nlohmann::ordered_json;
using cuda::membership_form;

// The dataset with one membership form, and its weights, on the host and on the device.
struct form_data {
  const positives_index& index;
  const backend& cpu;
  const item_weights& popularity;
  const cuda::device_weights& weights;
  const cuda::device_dataset& data;

  const dataset& source() const { return index.source(); }
  const char* form() const { return cuda::name_of(data.view().form); }
  item_type width() const { return item_type_for(source().item_count()); }
};

// Plans of the same batches for the CPU and for kernels.
template <typename Plan>
struct plan_pair {
  Plan host;
  Plan device;

  plan_pair(const Plan& plan, const form_data& of, bool by_popularity) : host(plan), device(plan) {
    if (!by_popularity) return;
    host.weights = of.weights.host_draw();
    device.weights = of.weights.draw();
  }
};

const char* name_of_distribution(bool by_popularity) { return by_popularity ? "popularity" : "uniform"; }

void add_points_by_popularity(draw_list& list, const form_data& of, std::uint64_t batch) {
  const draw_bench& on = list.on();
  const training_options options{1, 4, 1, batch, padding_policy::drop};
  if (of.source().positive_count() * (options.negatives + 1ULL) < batch) return;
  const plan_pair<training_plan> plans(plan_training(of.source(), options), of, true);
  const core::cycle_key key = make_cycle_key(plans.host, 0);
  device_batch out(batch, of.width(), on.memory, on.stream);
  list.add({"points", of.form(), "popularity", options.negatives, batch, static_cast<double>(batch)},
           [&](int run) {
             const std::uint64_t first = static_cast<std::uint64_t>(run) % plans.device.batch_count * batch;
             cuda::fill_training_async(plans.device, key, of.data.view(), first, batch, out.training(), {on.stream});
           },
           [&] {
             training_batch wanted(batch, of.width(), false);
             of.cpu.fill_training(plans.host, key, 0, batch, wanted.columns());
             check_bytes(out.users.data(), wanted.users().data(), 4 * batch);
             check_bytes(out.items.data(), wanted.items().data(), wanted.items().size_bytes());
             check_bytes(out.flags.data(), wanted.labels().data(), batch);
           });
}

void add_pairs(draw_list& list, const form_data& of, std::uint32_t negatives, bool by_popularity) {
  const draw_bench& on = list.on();
  const std::uint64_t rows = on.small ? 256 : 65'536;
  training_options options{1, negatives, 1, rows, padding_policy::drop};
  options.layout = batch_layout::pairwise;
  const plan_pair<training_plan> plans(plan_training(of.source(), options), of, by_popularity);
  const core::cycle_key key = make_cycle_key(plans.host, 0);
  device_batch out(rows, of.width(), on.memory, on.stream);
  cuda::device_buffer<std::byte> drawn(rows * negatives * item_bytes(of.width()), on.memory, on.stream);
  list.add({"pairs", of.form(), name_of_distribution(by_popularity), negatives, rows,
            static_cast<double>(rows * negatives)},
           [&](int run) {
             const std::uint64_t first = static_cast<std::uint64_t>(run) % plans.device.batch_count * rows;
             cuda::fill_pairs_async(plans.device, key, of.data.view(), first, rows,
                                    {out.users.data(), out.items.data(), drawn.data(), of.width(), nullptr},
                                    {on.stream});
           },
           [&] {
             pair_batch wanted(rows, negatives, of.width(), false);
             of.cpu.fill_pairs(plans.host, key, 0, rows, wanted.columns());
             check_bytes(out.users.data(), wanted.users().data(), 4 * rows);
             check_bytes(out.items.data(), wanted.items().data(), wanted.items().size_bytes());
             check_bytes(drawn.data(), wanted.negatives().data(), wanted.negatives().size_bytes());
           });
}

void add_rows_by_popularity(draw_list& list, const form_data& of, std::uint32_t negatives) {
  const draw_bench& on = list.on();
  const auto users = static_cast<std::uint64_t>(of.source().user_count());
  const std::uint64_t rows = std::min<std::uint64_t>(users, on.small ? 8 : 16'384);
  evaluation_options options{negatives, negatives + 1};
  options.weights = of.popularity;
  const plan_pair<evaluation_plan> plans(plan_evaluation(of.source(), options, 1), of, true);
  const std::uint64_t values = rows * plans.host.row_length();
  device_batch out(values, of.width(), on.memory, on.stream);
  cuda::device_buffer<std::byte> workspace(
      cuda::evaluation_workspace_bytes(plans.device, of.data.view(), rows), on.memory, on.stream);
  list.add({"evaluation rows", of.form(), "popularity", negatives, rows, static_cast<double>(values)},
           [&](int) {
             cuda::fill_evaluation_async(plans.device, of.data.view(), 0, rows, out.evaluation(), workspace.data(),
                                         {on.stream});
           },
           [&] {
             const std::uint64_t checked = std::min<std::uint64_t>(rows, 256);
             check_rows(on.stream, plans.host, of.index, 0, checked, out);
             check_rows(on.stream, plans.host, of.index, rows - checked, checked, out);
           });
}

void add_plans(draw_list& list, const form_data& of) {
  for (const std::uint64_t batch : {65'536ULL, 1'048'576ULL}) {
    add_points_by_popularity(list, of, list.on().small ? batch / 256 : batch);
  }
  for (const std::uint32_t negatives : {1U, 4U, 64U}) {
    for (const bool by_popularity : {false, true}) add_pairs(list, of, negatives, by_popularity);
  }
  for (const std::uint32_t negatives : {99U, 999U}) add_rows_by_popularity(list, of, negatives);
}

}  // namespace

json time_draws(const draw_bench& on, const positives_index& index, json& failures) {
  const dataset& source = index.source();
  draw_list list(on, failures);
  const auto cpu = make_backend("cpu", index, 0);
  const item_weights popularity = popularity_weights(source, 0.75);
  const cuda::device_weights weights(dataset_weights(source, popularity), source.positive_count(), on.memory,
                                     on.stream);
  for (const membership_form form :
       {membership_form::bloom_filter, membership_form::bitset, membership_form::sorted_search}) {
    if (form == membership_form::bitset &&
        bitset_bytes(source.user_count(), source.item_count()) > on.bitset_budget_bytes) {
      continue;
    }
    const auto data = cuda::device_dataset::upload_async(source, on.bitset_budget_bytes, form, on.memory, on.stream);
    add_plans(list, {index, *cpu, popularity, weights, data});
  }
  add_free_draws(list, index);
  add_sampler_work(list, index);
  return list.take();
}

}  // namespace negpipe::bench

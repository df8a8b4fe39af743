#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "draws.hpp"
#include "negpipe/device_negatives.hpp"
#include "negpipe/item_weights.hpp"
#include "negpipe/negative_sampler.hpp"

namespace negpipe::bench {

namespace {

constexpr std::uint32_t max_negatives = 64;
constexpr std::size_t excluded_per_user = 4;
constexpr std::size_t max_checked_users = 2048;

struct named_form {
  const char* name;
  core::membership form;
};
constexpr std::array<named_form, 3> forms{{{"Bloom filter", core::membership::bloom_filter},
                                           {"bitset", core::membership::bitset},
                                           {"sorted search", core::membership::sorted_search}}};

// Values in host and device memory.
template <typename T>
struct mirrored {
  std::vector<T> host;
  cuda::device_buffer<T> device;

  mirrored(std::vector<T> values, const draw_bench& on)
      : host(std::move(values)), device(cuda::upload_async(host.data(), host.size(), on.memory, on.stream)) {}
  std::span<const T> on_host(std::size_t first, std::size_t count) const {
    return std::span<const T>(host).subspan(first, count);
  }
  std::span<const T> on_device() const { return {device.data(), device.size()}; }
};

// Users as frequent as in training, in an order without neighbours, and items of interactions: some are positives of
// the users they are asked for.
struct free_arrays {
  std::size_t count;
  mirrored<std::int32_t> users;
  mirrored<std::int32_t> excluded;  ///< [count, excluded_per_user]
  mirrored<std::int32_t> items;     ///< [count, max_negatives]
  cuda::device_buffer<std::int32_t> drawn;
  cuda::device_buffer<std::uint8_t> found;
  cuda::device_buffer<float> logs;

  free_arrays(const positives_index& index, const draw_bench& on)
      : count(on.small ? 128 : 65'536),
        users(make_users(index, count), on),
        excluded(make_items(index.source(), count * excluded_per_user), on),
        items(make_items(index.source(), count * max_negatives), on),
        drawn(items.host.size(), on.memory, on.stream),
        found(items.host.size(), on.memory, on.stream),
        logs(items.host.size(), on.memory, on.stream) {}

  static std::vector<std::int32_t> make_users(const positives_index& index, std::size_t count) {
    std::vector<std::int32_t> users;
    const std::uint64_t step = index.source().positive_count() / count;
    for (std::uint64_t i = 0; i < count; ++i) {
      users.push_back(negpipe::index(index.view().csr.user_of(i * 7919 % count * step)));
    }
    return users;
  }
  static std::vector<std::int32_t> make_items(const dataset& source, std::size_t count) {
    std::vector<std::int32_t> items;
    for (std::uint64_t i = 0; i < count; ++i) {
      items.push_back(source.positive_items()[i * 2'654'435'761ULL % source.positive_count()]);
    }
    return items;
  }

  // The first and the last users, which are compared with the CPU.
  std::array<std::size_t, 2> checked_firsts() const { return {0, count - checked()}; }
  std::size_t checked() const { return std::min(count, max_checked_users); }
};

// One way to draw: with one form and distribution.
struct free_sampler {
  const char* form;
  const char* distribution;
  const negative_sampler& cpu;
  const device_negative_sampler& device;
};

enum class draw_rule : std::uint8_t { plain, distinct, exclude };

void add_draws(draw_list& list, const free_sampler& by, free_arrays& arrays, std::uint32_t negatives, draw_rule rule) {
  const draw_bench& on = list.on();
  const char* names[] = {"free draws", "distinct free draws", "free draws, 4 excluded"};
  const std::size_t draws = arrays.count * negatives;
  const bool excludes = rule == draw_rule::exclude;
  list.add({names[static_cast<std::size_t>(rule)], by.form, by.distribution, negatives, arrays.count,
            static_cast<double>(draws)},
           [&](int run) {
             device_draw_call call;
             call.negatives = negatives;
             call.at = static_cast<std::uint32_t>(run);
             call.distinct = rule == draw_rule::distinct;
             if (excludes) call.excluded = arrays.excluded.on_device();
             by.device.sample({arrays.users.device.data(), arrays.count}, call, {arrays.drawn.data(), draws},
                              on.stream);
           },
           [&] {
             by.device.check(on.stream);
             for (const std::size_t first : arrays.checked_firsts()) {
               draw_call call;
               call.negatives = negatives;
               call.offset = first;
               call.distinct = rule == draw_rule::distinct;
               const std::size_t count = arrays.checked();
               if (excludes) {
                 call.excluded = arrays.excluded.on_host(first * excluded_per_user, count * excluded_per_user);
               }
               std::vector<std::int32_t> wanted(count * negatives);
               by.cpu.sample(arrays.users.on_host(first, count), call, wanted);
               check_bytes(arrays.drawn.data() + first * negatives, wanted.data(), 4 * wanted.size());
             }
           });
}

void add_shared_draws(draw_list& list, const free_sampler& by, free_arrays& arrays) {
  const draw_bench& on = list.on();
  const auto count = static_cast<std::uint32_t>(arrays.count);
  list.add({"shared draws", by.form, by.distribution, count, 1, static_cast<double>(count)},
           [&](int run) {
             by.device.sample_shared({.negatives = count, .at = static_cast<std::uint32_t>(run)},
                                     {arrays.drawn.data(), count}, on.stream);
           },
           [&] {
             std::vector<std::int32_t> wanted(count);
             by.cpu.sample_shared({.negatives = count}, wanted);
             check_bytes(arrays.drawn.data(), wanted.data(), 4 * wanted.size());
           });
}

// Adds a question about each of the items [count, max_negatives]: ask_device(run), and ask_cpu(users, items, values).
template <typename T, typename AskDevice, typename AskCpu>
void add_pair_questions(draw_list& list, const char* work, const free_sampler& by, const free_arrays& arrays,
                        const cuda::device_buffer<T>& values, const AskDevice& ask_device, const AskCpu& ask_cpu) {
  list.add({work, by.form, by.distribution, max_negatives, arrays.count, static_cast<double>(values.size())},
           ask_device, [&] {
             by.device.check(list.on().stream);
             for (const std::size_t first : arrays.checked_firsts()) {
               std::vector<std::int32_t> users;
               for (const std::int32_t user : arrays.users.on_host(first, arrays.checked())) {
                 users.insert(users.end(), max_negatives, user);
               }
               std::vector<T> wanted(users.size());
               ask_cpu(users, arrays.items.on_host(first * max_negatives, users.size()), std::span<T>(wanted));
               check_bytes(values.data() + first * max_negatives, wanted.data(), sizeof(T) * wanted.size());
             }
           });
}

void add_look_ups(draw_list& list, const free_sampler& by, free_arrays& arrays) {
  const draw_bench& on = list.on();
  const device_ids users(arrays.users.device.data(), arrays.count);
  const device_ids items(arrays.items.device.data(), arrays.items.host.size());
  add_pair_questions(
      list, "contains", by, arrays, arrays.found,
      [&](int) { by.device.contains(users, items, {arrays.found.data(), arrays.found.size()}, on.stream); },
      [&](const auto& of, auto asked, auto found) { by.cpu.contains(of, asked, found); });
  // A tile of an in-batch mask: as many items for all users.
  const std::size_t side = on.small ? 64 : 2048;
  const device_ids tile_users(arrays.users.device.data(), side);
  const device_ids tile_items(arrays.items.device.data(), side);
  list.add({"contains, mask of all pairs", by.form, by.distribution, static_cast<std::uint32_t>(side), side,
            static_cast<double>(side * side)},
           [&](int) {
             by.device.contains_each(tile_users, tile_items, {arrays.found.data(), side * side}, on.stream);
           },
           [&] {
             std::vector<std::uint8_t> wanted(side * side);
             by.cpu.contains_each(arrays.users.on_host(0, side), arrays.items.on_host(0, side), wanted);
             check_bytes(arrays.found.data(), wanted.data(), wanted.size());
           });
}

void add_logarithms(draw_list& list, const free_sampler& by, free_arrays& arrays) {
  const device_ids users(arrays.users.device.data(), arrays.count);
  const device_ids items(arrays.items.device.data(), arrays.items.host.size());
  add_pair_questions(
      list, "log_q", by, arrays, arrays.logs,
      [&](int) { by.device.log_q(users, items, {arrays.logs.data(), arrays.logs.size()}, list.on().stream); },
      [&](const auto& of, auto asked, auto values) { by.cpu.log_q(of, asked, values); });
}

}  // namespace

void add_free_draws(draw_list& list, const positives_index& index) {
  const draw_bench& on = list.on();
  const dataset& source = index.source();
  free_arrays arrays(index, on);
  NEGPIPE_CUDA_CHECK(cudaStreamSynchronize(on.stream));
  for (const bool by_popularity : {false, true}) {
    negative_options options{.seed = 1, .bitset_budget = on.bitset_budget_bytes};
    if (by_popularity) options.weights = popularity_weights(source, 0.75);
    const negative_sampler cpu(index, options);
    for (const named_form& form : forms) {
      if (form.form == core::membership::bitset &&
          bitset_bytes(source.user_count(), source.item_count()) > on.bitset_budget_bytes) {
        continue;
      }
      const device_negative_sampler device(source, options, {.stream = on.stream, .membership = form.form});
      const free_sampler by{form.name, by_popularity ? "popularity" : "uniform", cpu, device};
      for (const std::uint32_t negatives : {4U, max_negatives}) {
        for (const draw_rule rule : {draw_rule::plain, draw_rule::distinct, draw_rule::exclude}) {
          add_draws(list, by, arrays, negatives, rule);
        }
      }
      if (!by_popularity) add_look_ups(list, by, arrays);
      if (form.form != core::membership::bloom_filter) continue;  // neither reads membership
      add_shared_draws(list, by, arrays);
      add_logarithms(list, by, arrays);
    }
  }
}

}  // namespace negpipe::bench

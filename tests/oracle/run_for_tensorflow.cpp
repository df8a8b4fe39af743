// Writes runs to a folder, and beside each the arrays that its records must contain, computed point by point with core:
// raw little-endian files "users", "items", "flags" (pairwise: "negatives") and "valid" of all batches in reading
// order.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "negpipe/core/duplicate_mask.hpp"
#include "negpipe/core/pairwise.hpp"
#include "negpipe/core/philox.hpp"
#include "negpipe/pipeline.hpp"
#include "negpipe/positives.hpp"
#include "support/datasets.hpp"

namespace fs = std::filesystem;
using namespace negpipe;

namespace {

template <typename Value>
void store(const fs::path& path, const std::vector<Value>& values) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(Value)));
}

struct columns {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::int8_t> flags;
  std::vector<std::int8_t> valid;
  std::vector<std::int32_t> negatives;

  void save(const fs::path& folder, bool wide, bool with_valid) const {
    fs::create_directories(folder);
    store(folder / "users", users);
    store_items(folder / "items", items, wide);
    if (!flags.empty()) store(folder / "flags", flags);
    if (!negatives.empty()) store_items(folder / "negatives", negatives, wide);
    if (with_valid) store(folder / "valid", valid);
  }

  static void store_items(const fs::path& path, const std::vector<std::int32_t>& items, bool wide) {
    if (wide) {
      store(path, items);
    } else {
      store(path, std::vector<std::uint16_t>(items.begin(), items.end()));
    }
  }
};

columns training_arrays(const training_plan& plan, std::uint32_t cycle, const core::positives_view& view) {
  const core::cycle_key key = make_cycle_key(plan, cycle);
  columns out;
  for (std::uint64_t batch = 0; batch < plan.batch_count; ++batch) {
    for (std::uint64_t i = 0; i < plan.batch_size; ++i) {
      const core::point p =
          core::point_at(plan, key, view, plan.first_position(batch) + i, core::philox_source{plan.seed});
      out.users.push_back(index(p.user));
      out.items.push_back(index(p.item));
      out.flags.push_back(p.label);
      out.valid.push_back(p.valid);
    }
  }
  return out;
}

columns pairwise_arrays(const training_plan& plan, std::uint32_t cycle, const core::positives_view& view) {
  const core::cycle_key key = make_cycle_key(plan, cycle);
  const core::philox_source source{plan.seed};
  columns out;
  for (std::uint64_t batch = 0; batch < plan.batch_count; ++batch) {
    for (std::uint64_t i = 0; i < plan.batch_size; ++i) {
      const core::pair_row row = core::pair_at(plan, key, view, plan.first_position(batch) + i, source);
      out.users.push_back(index(row.user));
      out.items.push_back(index(row.item));
      out.valid.push_back(row.valid);
      for (std::uint32_t k = 0; k < plan.negatives; ++k) {
        out.negatives.push_back(index(core::pair_negative(plan, key, view, row, k, source)));
      }
    }
  }
  return out;
}

columns evaluation_arrays(const evaluation_plan& plan, const core::positives_view& view) {
  columns out;
  for (std::uint64_t row = 0; row < plan.padded_count() / plan.row_length(); ++row) {
    const user_id user{row < plan.user_count ? static_cast<std::int32_t>(row) : 0};
    std::vector<std::int32_t> items(plan.row_length(), 0);
    for (std::uint32_t c = 0; row < plan.user_count && c < items.size(); ++c) {
      items[c] = index(core::eval_item_at(plan, view, user, c, core::philox_source{plan.seed}));
    }
    for (std::uint32_t c = 0; c < items.size(); ++c) {
      out.users.push_back(index(user));
      out.items.push_back(items[c]);
      out.flags.push_back(core::is_repeat(items.data(), c));
    }
  }
  return out;
}

void write_run(const fs::path& folder, const dataset& data, padding_policy padding, compression_type compression,
               std::uint32_t readers, bool mlperf, batch_layout layout = batch_layout::pointwise) {
  generate_options options;
  options.out = folder / "run";
  options.readers = readers;
  options.compression = compression;
  const sampler source(data, {.seed = 42,
                              .negatives = 4,
                              .batch_size = 250,
                              .padding = padding,
                              .layout = layout,
                              .evaluation = evaluation_options{.negatives = 19, .batch_size = 60, .mlperf = mlperf},
                              .device = "cpu"});
  generate(source, options);
  const positives_index index(data);
  const bool wide = item_type_for(data.item_count()) == item_type::int32;
  const auto arrays = layout == batch_layout::pairwise ? pairwise_arrays : training_arrays;
  arrays(source.plan(), 0, index.view()).save(folder / "train", wide, padding == padding_policy::mask);
  evaluation_arrays(source.evaluation_plan(), index.view()).save(folder / "eval", wide, false);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: run_for_tensorflow FOLDER\n", stderr);
    return 2;
  }
  const fs::path out = arguments[1];
  const dataset narrow = test::random_dataset({20, 50, 31, 22, 90, 40, 77}, 300, 5);
  const dataset wide = test::random_dataset({20, 50, 31, 22, 90, 40, 77}, 70'000, 6);
  const std::pair<padding_policy, const char*> paddings[] = {
      {padding_policy::resample, "resample"}, {padding_policy::mask, "mask"}, {padding_policy::drop, "drop"}};
  const std::pair<compression_type, const char*> compressions[] = {{compression_type::none, "none"},
                                                                   {compression_type::gzip, "gzip"}};
  for (const auto& [padding, padding_name] : paddings) {
    for (const auto& [compression, compression_name] : compressions) {
      for (const std::uint32_t readers : {1U, 4U, 11U}) {  // 6 or 7 batches: some files are empty
        const std::string name = std::string(padding_name) + "-" + compression_name + "-" + std::to_string(readers);
        const bool mlperf = readers == 4;
        write_run(out / ("uint16-" + name), narrow, padding, compression, readers, mlperf);
        if (readers == 4) write_run(out / ("int32-" + name), wide, padding, compression, readers, mlperf);
      }
    }
  }
  constexpr auto pairwise = batch_layout::pairwise;
  write_run(out / "uint16-pairwise-resample-none-4", narrow, padding_policy::resample, compression_type::none, 4, false,
            pairwise);
  write_run(out / "uint16-pairwise-mask-gzip-1", narrow, padding_policy::mask, compression_type::gzip, 1, false,
            pairwise);
  write_run(out / "int32-pairwise-drop-none-1", wide, padding_policy::drop, compression_type::none, 1, false, pairwise);
  return 0;
}

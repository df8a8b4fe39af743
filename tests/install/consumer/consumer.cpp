// A user's program: trains on batches that the library makes on demand.
#include <cstdint>
#include <iostream>

#include "negpipe/negpipe.hpp"

namespace {

std::uint64_t points = 0;
std::uint64_t positives = 0;

// Placeholder for a training step.
void train(std::span<const std::int32_t> users, negpipe::item_view items, std::span<const std::int8_t> labels) {
  for (std::size_t i = 0; i < users.size(); ++i) {
    std::cout << users[i] << ' ' << items[i] << ' ' << int{labels[i]} << '\n';
    positives += labels[i] == 1 ? 1 : 0;
  }
  points += users.size();
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) return 2;
  const auto data = negpipe::prepare(arguments[1]);
  const negpipe::sampler sampler(data, {.seed = 42, .negatives = 4, .batch_size = 50});
  auto batch = sampler.make_batch();
  for (std::uint32_t cycle = 0; cycle < 3; ++cycle) {
    for (std::uint64_t b = 0; b < sampler.batch_count(); ++b) {
      sampler.fill(cycle, b, batch);
      train(batch.users(), batch.items(), batch.labels());
    }
  }
  std::cerr << sampler.description() << '\n';
  return points == 3 * 5 * data.positive_count() && positives == 3 * data.positive_count() ? 0 : 1;
} catch (const negpipe::error& problem) {
  std::cerr << problem.what() << '\n';
  return 1;
}

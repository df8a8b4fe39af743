// Without CUDA in the build, or without a visible device, the samplers of a device throw with the reason.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>

#include "negpipe/backend.hpp"
#include "negpipe/device.hpp"
#include "negpipe/device_negatives.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

std::string reason() {
  for (const backend_status& status : list_backends()) {
    if (status.name == "cuda") return status.reason;
  }
  return "";
}

TEST(device_sampler_without_a_device, throws_with_the_reason) {
  const std::array<std::int32_t, 2> ids{0, 1};
  ASSERT_FALSE(reason().empty()) << "this test is for runs with no visible device";
  const std::function<void()> constructions[] = {
      [] { const device_sampler refused(edge_dataset()); },
      [] { const device_negative_sampler refused(random_dataset({3}, 9, 1)); },
      [&] { const device_sampler refused(device_interactions{2, 2, ids, ids}); }};
  for (const auto& construct : constructions) {
    try {
      construct();
      FAIL() << "nothing was thrown";
    } catch (const backend_error& error) {
      EXPECT_NE(std::string(error.what()).find(reason()), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace negpipe::test

// A machine without a device: run with none visible. The reason is given, auto takes the CPU, cuda is refused.
#include <gtest/gtest.h>

#include "negpipe/backend.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

TEST(without_a_device, the_reason_says_what_to_do) {
  const backend_status status = cuda_status();
  ASSERT_FALSE(status.available) << "this test is for runs with no visible device";
  EXPECT_NE(status.reason.find("use the device cpu"), std::string::npos) << status.reason;
}

TEST(without_a_device, auto_takes_the_cpu) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  EXPECT_EQ(make_backend("auto", index)->description().find("cpu"), 0U);
}

TEST(without_a_device, cuda_is_refused_with_the_reason) {
  const dataset data = edge_dataset();
  const positives_index index(data);
  for (const char* name : {"cuda", "cuda:0", "cuda:all"}) {
    try {
      make_backend(name, index);
      FAIL() << name;
    } catch (const backend_error& error) {
      EXPECT_NE(std::string(error.what()).find(cuda_status().reason), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace negpipe::test

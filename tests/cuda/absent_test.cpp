// Without a usable device: the reason is given, auto takes the CPU, cuda is rejected.
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

TEST(without_a_device, cuda_is_rejected_with_the_reason) {
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

// Needs a device with full memory, in use by another process, or without code for it in this build.
TEST(with_an_unusable_device, auto_takes_the_cpu_and_says_why) {
  ASSERT_TRUE(cuda_status().available) << "this test is for runs with a device";
  const positives_index index(edge_dataset());
  const std::string description = make_backend("auto", index)->description();
  EXPECT_EQ(description.find("cpu ("), 0U) << description;
  EXPECT_NE(description.find("; cuda is not used: CUDA: "), std::string::npos) << description;
}

TEST(with_an_unusable_device, cuda_is_rejected) {
  const positives_index index(edge_dataset());
  EXPECT_THROW(make_backend("cuda", index), backend_error);
}

}  // namespace
}  // namespace negpipe::test

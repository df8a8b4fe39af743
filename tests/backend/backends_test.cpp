// Backends are found by name; unknown and unavailable names are rejected with a reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "cpu_backend.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/error.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {

namespace {

class backends : public testing::Test {
 protected:
  positives_index index_{edge_dataset()};
};

// Returns the message of make_backend's Error; fails if it throws nothing or something else.
template <typename Error>
std::string refusal(std::string_view device, const positives_index& index) {
  try {
    (void)make_backend(device, index, 1);
  } catch (const Error& refused) {
    return refused.what();
  }
  ADD_FAILURE() << device << " was not rejected";
  return "";
}

}  // namespace

TEST_F(backends, lists_both_kinds_and_the_cpu_always) {
  const auto all = list_backends();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "cuda");
  EXPECT_EQ(all[1].name, "cpu");
  EXPECT_TRUE(all[1].available);
  for (const backend_status& status : all) EXPECT_EQ(status.reason.empty(), status.available) << status.name;
}

TEST_F(backends, makes_cpu_with_the_requested_threads) {
  EXPECT_NE(make_backend("cpu", index_, 3)->description().find("cpu ("), std::string::npos);
  EXPECT_NE(make_backend("cpu", index_, 3)->description().find("3 threads"), std::string::npos);
  EXPECT_NE(make_backend("cpu", index_, 1)->description().find("1 thread a batch)"), std::string::npos);
}

TEST_F(backends, auto_takes_the_best_available_backend) {
  const std::string description = make_backend("auto", index_, 1)->description();
  EXPECT_TRUE(description.starts_with(cuda_status().available ? "cuda" : "cpu")) << description;
}

TEST_F(backends, rejects_unknown_names_and_lists_the_known_ones) {
  for (const std::string_view device : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda:all "}) {
    const std::string message = refusal<option_error>(device, index_);
    for (const std::string_view known : {"auto", "cpu", "cuda", "cuda:N", "cuda:all"}) {
      EXPECT_NE(message.find(known), std::string::npos) << message;
    }
    EXPECT_NE(message.find('"' + std::string(device) + '"'), std::string::npos) << message;
  }
}

TEST_F(backends, rejects_unavailable_backends_with_the_reason) {
  if (cuda_status().available) GTEST_SKIP() << "CUDA is available here";
  for (const std::string_view device : {"cuda", "cuda:0", "cuda:17", "cuda:all"}) {
    EXPECT_NE(refusal<backend_error>(device, index_).find(cuda_status().reason), std::string::npos);
  }
}

TEST_F(backends, makes_every_supported_kernel_set_the_portable_one_last) {
  const auto sets = supported_kernels();
  ASSERT_FALSE(sets.empty());
  EXPECT_EQ(sets.back().name, "portable");
  for (const kernel_set& kernels : sets) {
    const std::string description =
        make_cpu_backend(index_, cpu_backend_options{.threads = 1, .kernels = kernels})->description();
    EXPECT_NE(description.find(kernels.name), std::string::npos) << description;
  }
  EXPECT_NE(make_cpu_backend(index_, 1)->description().find(sets.front().name), std::string::npos);
}

}  // namespace negpipe::test

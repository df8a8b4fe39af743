// The CPU backend keeps the contract with every instruction set that this machine can run and any number of threads.
#include "equality/backend_contract.hpp"
#include "kernels.hpp"

namespace negpipe::test {

namespace {

std::vector<backend_case> cpu_cases() {
  std::vector<backend_case> cases;
  for (const kernel_set& kernels : supported_kernels()) {
    for (const unsigned threads : {1U, 2U, 5U}) {
      std::string name = std::string(kernels.name) + "_threads_" + std::to_string(threads);
      for (char& c : name) c = c == '-' ? '_' : c;
      cases.push_back({std::move(name),
                       [kernels, threads](const positives_index& index) {
                         return make_cpu_backend(index, threads, kernels);
                       },
                       "cpu (" + std::string(kernels.name) + ", " + std::to_string(threads) + " thread"});
    }
  }
  return cases;
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(cpu, backend_contract, testing::ValuesIn(cpu_cases()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace negpipe::test

#include "negpipe/backend.hpp"

#include <fmt/format.h>

#include "cpu_backend.hpp"
#include "negpipe/backend_factory.hpp"
#include "negpipe/error.hpp"

namespace negpipe {

namespace {

bool is_cuda_name(std::string_view device) {
  if (device == "cuda" || device == "cuda:all") return true;
  constexpr std::string_view prefix = "cuda:";
  if (!device.starts_with(prefix) || device.size() == prefix.size()) return false;
  return device.find_first_not_of("0123456789", prefix.size()) == std::string_view::npos;
}

}  // namespace

std::vector<backend_status> list_backends() { return {cuda_status(), {"cpu", true, ""}}; }

std::unique_ptr<backend> make_backend(std::string_view device, const positives_index& index, unsigned threads,
                                      const std::vector<dataset_weights>& weights) {
  if (device == "cpu") return make_cpu_backend(index, threads);
  if (device != "auto" && !is_cuda_name(device)) {
    throw option_error(
        fmt::format("unknown device \"{}\": wanted auto, cpu, cuda, cuda:N (such as cuda:1) or cuda:all", device));
  }
  const backend_status cuda = cuda_status();
  if (device == "auto") {
    if (!cuda.available) return make_cpu_backend(index, threads);
    try {
      return make_cuda_backend("cuda", index, weights);
    } catch (const backend_error& failure) {  // device memory full, device in use, or no code for it in this build
      const std::string note = fmt::format("; cuda is not used: {}", failure.what());
      return make_cpu_backend(index, cpu_backend_options{.threads = threads, .note = note});
    }
  }
  if (!cuda.available) throw backend_error(fmt::format("the device {} is not available: {}", device, cuda.reason));
  return make_cuda_backend(device, index, weights);
}

}  // namespace negpipe

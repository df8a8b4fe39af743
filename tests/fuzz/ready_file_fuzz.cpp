// Any bytes as ready.json: must give content that is equal after writing and reading it again, or a format_error.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include "memory_file.hpp"
#include "negpipe/error.hpp"
#include "ready_file.hpp"

namespace {

namespace fs = std::filesystem;

/// Folders in memory: one whose ready.json is a link to the fuzzed bytes, and one to write to.
struct folders {
  fs::path root = "/dev/shm/negpipe-fuzz-ready-" + std::to_string(::getpid());

  explicit folders(const fs::path& fuzzed) {
    fs::create_directories(root / "found");
    fs::create_directories(root / "again");
    fs::create_symlink(fuzzed, root / "found/ready.json");
  }
  ~folders() {
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const folders made(negpipe::fuzz::memory_file(data, 0));
  negpipe::fuzz::memory_file(data, size);
  try {
    const auto found = negpipe::record::read_ready_file(made.root / "found");
    negpipe::record::write_ready_file(made.root / "again", found);
    const auto again = negpipe::record::read_ready_file(made.root / "again");
    if (again.files != found.files || again.seed != found.seed || again.point_count != found.point_count) std::abort();
  } catch (const negpipe::format_error&) {
  }
  return 0;
}

// Replaces one file of a dataset: loading must give the original dataset or a format_error. The first byte chooses the
// file, and whether the other bytes are its content or changes to it (two bytes of offset, new byte).
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "memory_file.hpp"
#include "negpipe/dataset.hpp"
#include "negpipe/error.hpp"

namespace {

namespace fs = std::filesystem;
using negpipe::dataset;

dataset sound() {
  negpipe::dataset_arrays arrays;
  arrays.user_offsets = {0, 2, 3};
  arrays.positive_items = {0, 2, 1};
  arrays.heldout_items = {1, 2};
  arrays.validation_offsets = {0, 0, 1};
  arrays.validation_items = {0};
  arrays.user_ids = std::vector<std::string>{"a", "bc"};
  arrays.item_ids = std::vector<std::int64_t>{5, -6, 7};
  return dataset(std::move(arrays), {.source = "fuzz"});
}

/// Folders of links, one per file, in which that file is a link to the fuzzed bytes.
class folders {
 public:
  static constexpr std::array<const char*, 5> files = {"dataset.json", "user_offsets.npy", "user_ids_bytes.npy",
                                                       "item_ids.npy", "validation_offsets.npy"};

  explicit folders(const fs::path& fuzzed) : root_("/dev/shm/negpipe-fuzz-" + std::to_string(::getpid())) {
    sound().save(root_ / "sound", true);
    for (const char* damaged : files) {
      fs::create_directories(of(damaged));
      for (const auto& entry : fs::directory_iterator(root_ / "sound")) {
        const bool replaced = entry.path().filename() == damaged;
        fs::create_symlink(replaced ? fuzzed : entry.path(), of(damaged) / entry.path().filename());
      }
    }
  }
  ~folders() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  fs::path of(const std::string& file) const { return root_ / ("damaged-" + file); }
  std::vector<std::uint8_t> sound_bytes(const std::string& file) const {
    std::ifstream in(root_ / "sound" / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  fs::path root_;
};

std::vector<std::uint8_t> changed(std::vector<std::uint8_t> bytes, const std::uint8_t* changes, std::size_t size) {
  for (; size >= 3; changes += 3, size -= 3) {
    bytes[(changes[0] + 256U * changes[1]) % bytes.size()] = changes[2];
  }
  bytes.resize(bytes.size() - size);  // the rest of the changes truncates the file
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const std::string digest = sound().digest();
  static const folders made(negpipe::fuzz::memory_file(data, 0));
  const std::string file = folders::files[data[0] % folders::files.size()];
  std::vector<std::uint8_t> bytes(data + 1, data + size);
  if (data[0] >= 128) bytes = changed(made.sound_bytes(file), data + 1, size - 1);
  negpipe::fuzz::memory_file(bytes.data(), bytes.size());
  try {
    if (dataset::load(made.of(file)).digest() != digest) std::abort();
  } catch (const negpipe::format_error&) {
  }
  return 0;
}

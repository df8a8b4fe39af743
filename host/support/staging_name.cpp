#include "staging_name.hpp"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "files.hpp"

namespace negpipe::support {

std::filesystem::path staging_name(const std::filesystem::path& parent, const std::filesystem::path& final_name) {
  std::uint64_t bits = 0;
  if (::getentropy(&bits, sizeof bits) != 0) throw_io_error("draw a name beside", final_name);
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(bits));
  // A name has at most 255 bytes: a final name that fits must not fail because of the added parts.
  constexpr std::size_t max_bytes = 200;
  return parent / ("." + final_name.filename().string().substr(0, max_bytes) + ".partial-" + digits.data());
}

}  // namespace negpipe::support

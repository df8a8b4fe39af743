// Any bytes as a record file, and as a payload: must give records and features within bounds, or a format_error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "memory_file.hpp"
#include "negpipe/error.hpp"
#include "negpipe/tfrecord.hpp"

namespace {

void parse(std::span<const std::byte> payload) {
  try {
    for (const auto& feature : negpipe::parse_example(payload)) {
      const auto* begin = feature.bytes.data();
      const bool inside = feature.bytes.empty() || (begin >= payload.data() && begin + feature.bytes.size() <=
                                                                                   payload.data() + payload.size());
      if (!inside) std::abort();
    }
  } catch (const negpipe::format_error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Random bytes rarely pass the checksums, so payloads are also parsed directly.
  parse(std::as_bytes(std::span(data, size)));
  try {
    negpipe::record_reader reader(negpipe::fuzz::memory_file(data, size));
    for (std::span<const std::byte> payload; reader.next(payload);) parse(payload);
  } catch (const negpipe::format_error&) {
  }
  return 0;
}

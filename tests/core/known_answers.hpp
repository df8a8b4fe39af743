// Known answers of Philox: one table for every implementation.
#pragma once

#include <cstdint>

namespace negpipe::test {

struct philox_vector {
  std::uint32_t counter[4];
  std::uint32_t key[2];
  std::uint32_t block[4];
};

/// The lines `philox4x32 10` of Random123's tests/kat_vectors: zeros, ones, and digits of pi.
inline constexpr philox_vector philox_vectors[] = {
    {{0x00000000, 0x00000000, 0x00000000, 0x00000000},
     {0x00000000, 0x00000000},
     {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

}  // namespace negpipe::test

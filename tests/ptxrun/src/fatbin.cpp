#include "fatbin.h"

#include <lz4.h>
#include <zstd.h>

#include <cstring>

#include "common.h"

namespace ptxrun {

// Container: a 16-byte header (magic, version, header size, payload size), then entries. The fields of
// an entry that matter here: kind (1 = PTX), header size, padded payload size, compressed size,
// architecture, flags (0x2000 = LZ4, 0x8000 = zstd), size when unpacked.
std::vector<PtxImage> extract_ptx(const void* data) {
  std::vector<PtxImage> out;
  auto* p = static_cast<const uint8_t*>(data);
  auto u16 = [](const uint8_t* q) {
    uint16_t v;
    memcpy(&v, q, 2);
    return v;
  };
  auto u32 = [](const uint8_t* q) {
    uint32_t v;
    memcpy(&v, q, 4);
    return v;
  };
  auto u64 = [](const uint8_t* q) {
    uint64_t v;
    memcpy(&v, q, 8);
    return v;
  };
  while (u32(p) == 0xBA55ED50u) {  // linked programs may have several in a row
    const uint8_t* e = p + u16(p + 6);
    const uint8_t* end = e + u64(p + 8);
    while (e + 0x40 <= end) {
      uint16_t kind = u16(e);
      uint32_t hs = u32(e + 4);
      uint64_t size = u64(e + 8);
      if (!hs || e + hs + size > end) break;
      if (kind == 1) {
        const uint8_t* body = e + hs;
        uint32_t packed = u32(e + 16), arch = u32(e + 28);
        uint64_t flags = u64(e + 40), raw = u64(e + 56);
        PtxImage im;
        im.arch = arch;
        bool ok = true;
        uint32_t magic = size >= 4 ? u32(body) : 0;
        if ((flags & 0x8000) || magic == 0xFD2FB528u) {
          im.text.resize(raw);
          size_t n = ZSTD_decompress(im.text.data(), raw, body, packed ? packed : size);
          ok = !ZSTD_isError(n);
          if (ok) im.text.resize(n);
        } else if (flags & 0x2000) {
          im.text.resize(raw);
          int n = LZ4_decompress_safe(reinterpret_cast<const char*>(body), im.text.data(), int(packed ? packed : size),
                                      int(raw));
          ok = n >= 0;
          if (ok) im.text.resize(size_t(n));
        } else {
          im.text.assign(reinterpret_cast<const char*>(body), size);
        }
        if (!ok)
          report("cannot unpack embedded PTX");
        else
          out.push_back(std::move(im));
      }
      e += hs + size;
    }
    p = end;
    break;
  }
  return out;
}

}  // namespace ptxrun

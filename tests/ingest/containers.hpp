// Compresses and archives a text with the reference libraries.
#pragma once

#include <bzlib.h>
#include <lzma.h>
#include <zip.h>
#include <zstd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace negpipe::test {

inline void require(bool done) {
  if (!done) throw std::runtime_error("a container could not be made");
}

inline std::string zstd_of(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1);
  require(ZSTD_isError(size) == 0);
  return out.substr(0, size);
}

inline std::string bzip2_of(std::string text) {
  auto size = static_cast<unsigned>(text.size() + text.size() / 100 + 600);
  std::string out(size, '\0');
  require(BZ2_bzBuffToBuffCompress(out.data(), &size, text.data(), static_cast<unsigned>(text.size()), 1, 0, 0) ==
          BZ_OK);
  return out.substr(0, size);
}

inline std::string xz_of(const std::string& text) {
  std::string out(lzma_stream_buffer_bound(text.size()), '\0');
  std::size_t size = 0;
  require(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()),
                                  text.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size,
                                  out.size()) == LZMA_OK);
  return out.substr(0, size);
}

using zip_members = std::vector<std::pair<std::string, std::string>>;  // path, content

inline void write_zip(const std::filesystem::path& path, const zip_members& members) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  require(archive != nullptr);
  for (const auto& [name, text] : members) {
    zip_source_t* source = zip_source_buffer(archive, text.data(), text.size(), 0);
    require(zip_file_add(archive, name.c_str(), source, 0) >= 0);
  }
  require(zip_close(archive) == 0);
}

}  // namespace negpipe::test

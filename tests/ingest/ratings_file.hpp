// Helpers that write files of ratings.
#pragma once

#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "negpipe/ingest.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::test {

inline void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Returns a gzip member.
inline std::string gzipped(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate failed");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// Options for small files: no user is dropped.
inline prepare_options keep_everyone() {
  prepare_options options;
  options.min_ratings = 1;
  return options;
}

/// Prepares a text as a file of the given name.
inline dataset prepare_text(std::string_view text, const prepare_options& options = keep_everyone(),
                            unsigned threads = 1, prepare_summary* summary = nullptr,
                            const std::string& name = "ratings.csv") {
  const temporary_folder folder;
  write_file(folder / name, text);
  run_control control;
  control.threads = threads;
  return prepare(folder / name, options, control, summary);
}

}  // namespace negpipe::test

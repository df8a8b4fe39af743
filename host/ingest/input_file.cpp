#include "input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

namespace negpipe::ingest {

namespace {

constexpr int standard_input = 0;

support::file nameless_file(const std::filesystem::path& folder) {
  std::string name = (folder / ".negpipe-input-XXXXXX").string();
  const int made = ::mkstemp(name.data());
  if (made < 0) support::throw_write_error("create a file in", folder);
  ::close(made);
  support::file file = support::file::open_or_create(name);
  ::unlink(name.c_str());
  return file;
}

void copy_input(support::file& to) {
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  for (;;) {
    const ssize_t got = ::read(standard_input, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) support::throw_io_error("read", "standard input");
    if (got == 0) return;
    to.write(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
}

}  // namespace

input_file::input_file(const std::filesystem::path& path, const std::string& name)
    : name_(!name.empty() ? name : path == "-" ? "standard input" : path.string()), path_(path) {
  if (path != "-") return;
  const char* folder = std::getenv("TMPDIR");
  spooled_.emplace(nameless_file(folder == nullptr || *folder == '\0' ? "/tmp" : folder));
  copy_input(*spooled_);
  path_ = fmt::format("/proc/self/fd/{}", spooled_->descriptor());
}

}  // namespace negpipe::ingest

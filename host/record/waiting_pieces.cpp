#include "waiting_pieces.hpp"

#include <unistd.h>

#include <cerrno>
#include <span>
#include <utility>

namespace negpipe::record {

namespace {

support::file nameless_file(const std::filesystem::path& name) {
  auto file = support::file::create(name);
  if (::unlink(file.path().c_str()) != 0) support::throw_write_error("remove", file.path());
  return file;
}

std::vector<std::byte> read_back(const support::file& file, std::uint64_t offset, std::uint64_t length) {
  std::vector<std::byte> bytes(length);
  for (std::size_t done = 0; done < length;) {
    const ssize_t got =
        ::pread(file.descriptor(), bytes.data() + done, length - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;  // what was written is not there
    if (got <= 0) support::throw_io_error("read back", file.path());
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

waiting_pieces::waiting_pieces(std::filesystem::path file_name, std::uint64_t most_memory_bytes)
    : file_name_(std::move(file_name)), most_memory_bytes_(most_memory_bytes) {}

void waiting_pieces::put(std::uint64_t place, gzip_piece piece) {
  const std::uint64_t size = piece.deflated.size();
  if (size <= most_memory_bytes_ && memory_bytes_ <= most_memory_bytes_ - size) {
    memory_bytes_ += size;
    entries_.emplace(place, entry{std::move(piece), 0, 0});
    return;
  }
  if (!file_) file_ = nameless_file(file_name_);
  if (in_file_ == 0) file_end_ = 0;
  file_->write_at(file_end_, piece.deflated);
  piece.deflated = {};
  entries_.emplace(place, entry{std::move(piece), std::exchange(file_end_, file_end_ + size), size});
  ++in_file_;
}

std::optional<gzip_piece> waiting_pieces::take(std::uint64_t place) {
  const auto found = entries_.find(place);
  if (found == entries_.end()) return {};
  entry taken = std::move(found->second);
  entries_.erase(found);
  if (taken.length == 0) {
    memory_bytes_ -= taken.piece.deflated.size();
  } else {
    taken.piece.deflated = read_back(*file_, taken.offset, taken.length);
    --in_file_;
  }
  return std::move(taken.piece);
}

}  // namespace negpipe::record

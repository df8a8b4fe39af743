// Gzip pieces that were made before their turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "files.hpp"
#include "gzip_pieces.hpp"

namespace negpipe::record {

/// Keeps pieces until they are asked for: in memory up to a limit, then in a file without a name. Whoever makes one
/// piece for long keeps the others from their turn for as long, so what waits has no bound of its own. One thread.
class waiting_pieces {
 public:
  /// The file, if one is needed, is made under the given name, which must be nobody else's, and loses it at once.
  waiting_pieces(std::filesystem::path file_name, std::uint64_t most_memory_bytes);

  /// Throws io_error.
  void put(std::uint64_t place, gzip_piece piece);
  /// The piece of a place, which then waits no more; empty if it was not put yet. Throws io_error.
  std::optional<gzip_piece> take(std::uint64_t place);

  std::uint64_t memory_bytes() const { return memory_bytes_; }

 private:
  struct entry {
    gzip_piece piece;      ///< deflated is empty for one in the file
    std::uint64_t offset;  ///< in the file
    std::uint64_t length;  ///< in the file; 0 for one in memory
  };

  std::filesystem::path file_name_;
  std::uint64_t most_memory_bytes_;
  std::uint64_t memory_bytes_ = 0;
  std::map<std::uint64_t, entry> entries_;
  std::optional<support::file> file_;
  std::uint64_t file_end_ = 0;
  std::uint64_t in_file_ = 0;  ///< pieces
};

}  // namespace negpipe::record

// Detects formats by their first bytes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "byte_stream.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

using namespace std::string_view_literals;

struct signature {
  std::string_view bytes;
  content kind;
};

constexpr std::array read_here = {
    signature{"\x1f\x8b"sv, content::gzip},  signature{"\x28\xb5\x2f\xfd"sv, content::zstd},
    signature{"BZh"sv, content::bzip2},      signature{"\xfd\x37zXZ\0"sv, content::xz},
    signature{"PK\x03\x04"sv, content::zip}, signature{"PK\x05\x06"sv, content::zip},
};

/// An unsupported format, and a command that converts it to a table.
struct foreign {
  std::string_view bytes;
  std::string_view name;
  std::string_view command;
};

constexpr std::string_view pipe_in = " | negpipe prepare - --out DIR";
constexpr std::array read_elsewhere = {
    foreign{"PAR1"sv, "a Parquet file", "python3 -m negpipe prepare '{0}' --out DIR"},
    foreign{"ARROW1"sv, "an Arrow (Feather) file",
            "python3 -c \"import pandas, sys; pandas.read_feather('{0}').to_csv(sys.stdout, index=False)\""},
    foreign{"ORC"sv, "an ORC file",
            "python3 -c \"import pandas, sys; pandas.read_orc('{0}').to_csv(sys.stdout, index=False)\""},
    foreign{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", "7z e -so '{0}' MEMBER"},
    foreign{"Rar!"sv, "a RAR archive", "unrar p -inul '{0}' MEMBER"},
    foreign{"\x04\x22\x4d\x18"sv, "an lz4 file", "lz4 -dc '{0}'"},
    foreign{"\x1f\x9d"sv, "a file of compress (.Z)", "gzip -dc '{0}'"},
    foreign{"SQLite format 3\0"sv, "an SQLite database",
            "sqlite3 -csv -header '{0}' 'select user_id, item_id, timestamp from TABLE'"},
    foreign{"\x89HDF"sv, "an HDF5 file",
            "python3 -c \"import pandas, sys; pandas.read_hdf('{0}').to_csv(sys.stdout, index=False)\""},
    foreign{"\x93NUMPY"sv, "a NumPy array",
            "python3 -c \"import numpy, sys; numpy.savetxt(sys.stdout, numpy.load('{0}'), '%d', ',')\""},
    foreign{"\x80\x04\x95"sv, "a Python pickle",
            "python3 -c \"import pandas, sys; pandas.read_pickle('{0}').to_csv(sys.stdout, index=False)\""},
};

bool is_tar(std::string_view beginning) {
  constexpr std::size_t magic_at = 257;
  return beginning.size() >= 512 && beginning.substr(magic_at, 5) == "ustar";
}

// A table's text has no such bytes, but may begin with the letters of a format: the header "ORCID,item,time".
bool has_binary(std::string_view beginning) {
  return std::ranges::any_of(beginning.substr(0, 1024), [](char c) { return static_cast<unsigned char>(c) < '\t'; });
}

bool is_text(std::string_view signature) {
  return std::ranges::all_of(signature, [](char c) { return c >= ' ' && c <= '~'; });
}

[[noreturn]] void refuse(const std::string& name, std::string_view what, const std::string& command) {
  const bool makes_a_table = command.find("negpipe prepare") == std::string::npos;
  throw input_error(
      fmt::format("{}: it is {}; read it with: {}{}", name, what, command, makes_a_table ? pipe_in : ""));
}

}  // namespace

content identify(const std::string& name, std::string_view beginning) {
  for (const signature& known : read_here) {
    if (beginning.starts_with(known.bytes)) return known.kind;
  }
  for (const foreign& known : read_elsewhere) {
    if (beginning.starts_with(known.bytes) && (!is_text(known.bytes) || has_binary(beginning))) {
      refuse(name, known.name, fmt::format(fmt::runtime(std::string(known.command)), name));
    }
  }
  if (is_tar(beginning)) {
    const std::string member(beginning.substr(0, std::min<std::size_t>(beginning.find('\0'), 100)));
    refuse(name, "a tar archive", fmt::format("tar -xOf '{}' '{}'", name, member));
  }
  return content::text;
}

}  // namespace negpipe::ingest

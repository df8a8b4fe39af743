#include "npy_file.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "negpipe/error.hpp"
#include "support/temporary_folder.hpp"

namespace negpipe::npy {
namespace {

TEST(npy_header, is_aligned_version_1_0) {
  const std::string header = make_header("<i4", 12);
  const std::string dictionary = "{'descr': '<i4', 'fortran_order': False, 'shape': (12,), }";
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(static_cast<unsigned char>(header[8]) + 256U * static_cast<unsigned char>(header[9]), header.size() - 10);
  EXPECT_EQ(header.substr(10, dictionary.size()), dictionary);
  EXPECT_EQ(header.back(), '\n');
  for (std::uint64_t count = 0; count < std::numeric_limits<std::uint64_t>::max() / 10; count = count * 10 + 9) {
    EXPECT_EQ(make_header("<i8", count).size() % 64, 0U);
  }
}

TEST(npy_file, reads_what_was_written) {
  const test::temporary_folder folder;
  const std::vector<std::int32_t> values = {3, -1, 7};
  write<std::int32_t>(folder / "a.npy", values);
  const support::file_contents file = read_file(folder / "a.npy", "<i4", 3, 4);
  const auto bytes = values_of(file, folder / "a.npy", descriptor<std::int32_t>(), 3, 4);
  EXPECT_EQ(std::vector<std::int32_t>(reinterpret_cast<const std::int32_t*>(bytes.data()),
                                      reinterpret_cast<const std::int32_t*>(bytes.data()) + 3),
            values);
  write<std::uint8_t>(folder / "empty.npy", {});
  const support::file_contents empty = read_file(folder / "empty.npy", "|u1", 0, 1);
  EXPECT_TRUE(values_of(empty, folder / "empty.npy", "|u1", 0, 1).empty());
}

TEST(npy_file, rejects_other_arrays) {
  const test::temporary_folder folder;
  const std::vector<std::int32_t> values = {3, -1, 7};
  write<std::int32_t>(folder / "a.npy", values);
  EXPECT_THROW(values_of(read_file(folder / "a.npy", "<i4", 4, 4), folder / "a.npy", "<i4", 4, 4), format_error);
  EXPECT_THROW(values_of(read_file(folder / "a.npy", "<i8", 3, 8), folder / "a.npy", "<i8", 3, 8), format_error);
}

TEST(npy_file, reads_no_more_than_the_array_size) {
  const test::temporary_folder folder;
  write<std::int32_t>(folder / "a.npy", std::vector<std::int32_t>{3, -1, 7});
  std::filesystem::resize_file(folder / "a.npy", std::uintmax_t{1} << 42);
  const support::file_contents file = read_file(folder / "a.npy", "<i4", 3, 4);
  EXPECT_EQ(file.bytes().size(), make_header("<i4", 3).size() + 12);
  EXPECT_THROW(values_of(file, folder / "a.npy", "<i4", 3, 4), format_error);
  const std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
  std::filesystem::resize_file(folder / "a.npy", 200);
  EXPECT_THROW(values_of(read_file(folder / "a.npy", "<i8", all, 8), folder / "a.npy", "<i8", all, 8), format_error);
}

}  // namespace
}  // namespace negpipe::npy

// Numbers ids from 0 in the order of their first appearance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace negpipe::ingest {

/// Type of all ids of a column. A column has numbers if each id is written as a whole number; then none may exceed 64
/// bits. Otherwise all ids are text, including large numbers.
enum class id_kind : std::uint8_t { number, text };

/// Hash table with open addressing over ids of one kind. Not thread-safe while ids are added.
class id_dictionary {
 public:
  explicit id_dictionary(id_kind kind) : kind_(kind), slots_(initial_slots, empty) {}

  id_kind kind() const { return kind_; }
  std::int32_t size() const { return size_; }

  /// Returns the number of an id; adds the id if it is new. The id's type must match kind(). Throws input_error beyond
  /// 2^31 - 1 distinct ids.
  std::int32_t add(std::int64_t id);
  std::int32_t add(std::string_view id);
  /// Adds all ids of another dictionary of the same kind. Entry i of the result is the number of its id i.
  std::vector<std::int32_t> add_all(const id_dictionary& other);

  /// Returns a dictionary of text in which each number is written in decimal.
  id_dictionary as_text() const;

  std::int64_t number(std::int32_t i) const { return numbers_[static_cast<std::size_t>(i)]; }
  /// Valid until the next add.
  std::string_view text(std::int32_t i) const {
    const auto begin = offsets_[static_cast<std::size_t>(i)];
    return {bytes_.data() + begin, offsets_[static_cast<std::size_t>(i) + 1] - begin};
  }

 private:
  static constexpr std::size_t initial_slots = 1024;  // a power of two
  static constexpr std::int32_t empty = -1;

  template <typename Id>
  std::int32_t find_or_append(Id id);
  std::size_t hash_of_entry(std::int32_t i) const;
  void grow();

  id_kind kind_;
  std::int32_t size_ = 0;
  std::vector<std::int32_t> slots_;
  std::vector<std::int64_t> numbers_;
  std::vector<char> bytes_;  // all texts, concatenated: no allocation per id
  std::vector<std::size_t> offsets_{0};
};

}  // namespace negpipe::ingest

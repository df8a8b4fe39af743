#include "id_dictionary.hpp"

#include <functional>
#include <limits>
#include <string>

#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

// The finalizer of MurmurHash3. It spreads consecutive numbers, which most ids are.
std::size_t hash(std::int64_t id) {
  auto x = static_cast<std::uint64_t>(id);
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDULL;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ULL;
  return x ^ (x >> 33);
}

std::size_t hash(std::string_view id) { return std::hash<std::string_view>{}(id); }

}  // namespace

std::int32_t id_dictionary::add(std::int64_t id) { return find_or_append(id); }
std::int32_t id_dictionary::add(std::string_view id) { return find_or_append(id); }

template <typename Id>
std::int32_t id_dictionary::find_or_append(Id id) {
  constexpr bool is_number = std::is_same_v<Id, std::int64_t>;
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash(id) & mask;
  for (; slots_[slot] != empty; slot = (slot + 1) & mask) {
    if constexpr (is_number) {
      if (number(slots_[slot]) == id) return slots_[slot];
    } else {
      if (text(slots_[slot]) == id) return slots_[slot];
    }
  }
  if (size_ == std::numeric_limits<std::int32_t>::max()) {
    throw input_error("more than 2147483647 distinct users or items; ids are numbered in 31 bits: split the ratings");
  }
  if constexpr (is_number) {
    numbers_.push_back(id);
  } else {
    bytes_.insert(bytes_.end(), id.begin(), id.end());
    offsets_.push_back(bytes_.size());
  }
  slots_[slot] = size_++;
  if (static_cast<std::size_t>(size_) * 2 > slots_.size()) grow();
  return size_ - 1;
}

std::vector<std::int32_t> id_dictionary::add_all(const id_dictionary& other) {
  std::vector<std::int32_t> numbers;
  numbers.reserve(static_cast<std::size_t>(other.size()));
  for (std::int32_t i = 0; i < other.size(); ++i) {
    numbers.push_back(kind_ == id_kind::number ? add(other.number(i)) : add(other.text(i)));
  }
  return numbers;
}

id_dictionary id_dictionary::as_text() const {
  id_dictionary made(id_kind::text);
  for (const std::int64_t id : numbers_) made.add(std::to_string(id));
  return made;
}

std::size_t id_dictionary::hash_of_entry(std::int32_t i) const {
  return kind_ == id_kind::number ? hash(number(i)) : hash(text(i));
}

void id_dictionary::grow() {
  slots_.assign(slots_.size() * 2, empty);
  const std::size_t mask = slots_.size() - 1;
  for (std::int32_t i = 0; i < size_; ++i) {
    std::size_t slot = hash_of_entry(i) & mask;
    while (slots_[slot] != empty) slot = (slot + 1) & mask;
    slots_[slot] = i;
  }
}

}  // namespace negpipe::ingest

// Arrow tables without the Arrow library: arrays and streams of the C data interface over vectors.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow_abi.hpp"

namespace negpipe::test {

/// One column of a batch. Buffer 0 is the validity bitmap; an empty one means that all values are valid.
struct arrow_values {
  std::string name;
  std::string format;
  std::int64_t length = 0;
  std::vector<std::vector<char>> buffers;
  std::shared_ptr<arrow_values> dictionary = {};
  std::int64_t offset = 0;
  std::int64_t null_count = -1;  ///< unknown
};

template <typename T>
std::vector<char> bytes_of(const std::vector<T>& values) {
  std::vector<char> bytes(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Packs one bool per row. Empty for no bitmap.
inline std::vector<char> bitmap_of(const std::vector<bool>& valid) {
  std::vector<char> bits((valid.size() + 7) / 8);
  for (std::size_t i = 0; i < valid.size(); ++i) {
    if (valid[i]) bits[i / 8] = static_cast<char>(static_cast<unsigned char>(bits[i / 8]) | 1U << (i % 8));
  }
  return bits;
}

template <typename T>
arrow_values numbers(std::string name, std::string format, const std::vector<T>& values,
                     const std::vector<bool>& valid = {}) {
  return {std::move(name), std::move(format), static_cast<std::int64_t>(values.size()),
          {bitmap_of(valid), bytes_of(values)}};
}

template <typename Offset = std::int32_t>
arrow_values texts(std::string name, const std::vector<std::string>& values, const std::vector<bool>& valid = {}) {
  std::vector<Offset> offsets{0};
  std::vector<char> bytes;
  for (const std::string& value : values) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    offsets.push_back(static_cast<Offset>(bytes.size()));
  }
  return {std::move(name), sizeof(Offset) == 4 ? "u" : "U", static_cast<std::int64_t>(values.size()),
          {bitmap_of(valid), bytes_of(offsets), bytes}};
}

/// Text views: short texts in place, long ones in one buffer.
inline arrow_values text_views(std::string name, const std::vector<std::string>& values) {
  std::vector<std::array<char, 16>> views(values.size());
  std::vector<char> bytes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto size = static_cast<std::int32_t>(values[i].size());
    std::memcpy(views[i].data(), &size, 4);
    if (size <= 12) {
      std::memcpy(views[i].data() + 4, values[i].data(), values[i].size());
      continue;
    }
    const auto offset = static_cast<std::int32_t>(bytes.size());
    std::memcpy(views[i].data() + 4, values[i].data(), 4);
    std::memcpy(views[i].data() + 12, &offset, 4);
    bytes.insert(bytes.end(), values[i].begin(), values[i].end());
  }
  const std::vector<std::int64_t> sizes = {static_cast<std::int64_t>(bytes.size())};
  return {std::move(name), "vu", static_cast<std::int64_t>(values.size()),
          {{}, bytes_of(views), bytes, bytes_of(sizes)}};
}

template <typename Index>
arrow_values dictionary_of(std::string format, const std::vector<Index>& indices, arrow_values values,
                           const std::vector<bool>& valid = {}) {
  arrow_values column = numbers(values.name, std::move(format), indices, valid);
  column.dictionary = std::make_shared<arrow_values>(std::move(values));
  return column;
}

/// A batch: columns of one length, and rows of it that are null as a whole.
struct arrow_batch {
  std::vector<arrow_values> columns;
  std::vector<bool> valid = {};
  std::int64_t offset = 0;  ///< rows that are skipped in every column
};

/// A stream of batches of the types of the first one. Counts the structures that the reader has not released.
class arrow_batches {
 public:
  explicit arrow_batches(std::vector<arrow_batch> batches, int fails_with = 0,
                         const char* message = "the server is gone")
      : batches_(std::move(batches)), fails_with_(fails_with), message_(message) {
    stream_ = {.get_schema = &schema, .get_next = &next, .get_last_error = &last_error, .release = nullptr,
               .private_data = this};
  }
  arrow_batches(const arrow_batches&) = delete;
  arrow_batches& operator=(const arrow_batches&) = delete;

  ArrowArrayStream* stream() { return &stream_; }
  int unreleased() const { return unreleased_; }

 private:
  struct exported_schema {
    ArrowSchema* fill(const arrow_values& values) {
      own = {.format = values.format.c_str(), .name = values.name.c_str(), .metadata = nullptr, .flags = 2,
             .n_children = 0, .children = nullptr, .dictionary = nullptr, .release = nullptr, .private_data = nullptr};
      if (values.dictionary) {
        dictionary = std::make_unique<exported_schema>();
        own.dictionary = dictionary->fill(*values.dictionary);
      }
      return &own;
    }
    ArrowSchema own{};
    std::unique_ptr<exported_schema> dictionary;
  };
  struct exported_array {
    ArrowArray* fill(const arrow_values& values) {
      for (const auto& buffer : values.buffers) {
        buffers.push_back(buffer.empty() && buffers.empty() ? nullptr : buffer.data());
      }
      own = {.length = values.length, .null_count = values.null_count, .offset = values.offset,
             .n_buffers = static_cast<std::int64_t>(buffers.size()), .n_children = 0, .buffers = buffers.data(),
             .children = nullptr, .dictionary = nullptr, .release = nullptr, .private_data = nullptr};
      if (values.dictionary) {
        dictionary = std::make_unique<exported_array>();
        own.dictionary = dictionary->fill(*values.dictionary);
      }
      return &own;
    }
    ArrowArray own{};
    std::vector<const void*> buffers;
    std::unique_ptr<exported_array> dictionary;
  };
  template <typename Struct, typename Exported>
  struct table {
    int* unreleased;
    std::vector<Exported> columns;
    std::vector<Struct*> children;
    std::vector<char> validity;
    const void* buffer = nullptr;
  };
  using schema_table = table<ArrowSchema, exported_schema>;
  using array_table = table<ArrowArray, exported_array>;

  template <typename Table, typename Struct>
  static void release(Struct* given) {
    const std::unique_ptr<Table> owned(static_cast<Table*>(given->private_data));
    --*owned->unreleased;
    given->release = nullptr;
  }

  template <typename Table>
  Table* make_table(const arrow_batch& batch) {
    auto made = std::make_unique<Table>();
    made->unreleased = &unreleased_;
    made->columns.resize(batch.columns.size());
    for (std::size_t i = 0; i < batch.columns.size(); ++i) {
      made->children.push_back(made->columns[i].fill(batch.columns[i]));
    }
    ++unreleased_;
    return made.release();
  }

  static int schema(ArrowArrayStream* stream, ArrowSchema* out) {
    auto& self = *static_cast<arrow_batches*>(stream->private_data);
    auto* made = self.make_table<schema_table>(self.batches_.front());
    *out = {.format = "+s", .name = "", .metadata = nullptr, .flags = 0,
            .n_children = static_cast<std::int64_t>(made->children.size()), .children = made->children.data(),
            .dictionary = nullptr, .release = &release<schema_table, ArrowSchema>, .private_data = made};
    return 0;
  }

  static int next(ArrowArrayStream* stream, ArrowArray* out) {
    auto& self = *static_cast<arrow_batches*>(stream->private_data);
    *out = {};
    if (self.next_ == self.batches_.size()) return self.fails_with_;
    const arrow_batch& batch = self.batches_[self.next_++];
    auto* made = self.make_table<array_table>(batch);
    made->validity = bitmap_of(batch.valid);
    if (!batch.valid.empty()) made->buffer = made->validity.data();
    const std::int64_t rows = batch.columns.empty() ? 0 : batch.columns.front().length;
    *out = {.length = rows - batch.offset, .null_count = batch.valid.empty() ? 0 : -1, .offset = batch.offset,
            .n_buffers = 1, .n_children = static_cast<std::int64_t>(made->children.size()), .buffers = &made->buffer,
            .children = made->children.data(), .dictionary = nullptr, .release = &release<array_table, ArrowArray>,
            .private_data = made};
    return 0;
  }

  static const char* last_error(ArrowArrayStream* stream) {
    return static_cast<const arrow_batches*>(stream->private_data)->message_;
  }

  std::vector<arrow_batch> batches_;
  int fails_with_;
  const char* message_;
  std::size_t next_ = 0;
  int unreleased_ = 0;
  ArrowArrayStream stream_{};
};

}  // namespace negpipe::test

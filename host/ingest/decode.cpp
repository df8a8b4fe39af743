// Conversion of encodings to UTF-8 and of line ends to LF.
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <utility>

#include "byte_stream.hpp"
#include "negpipe/error.hpp"

namespace negpipe::ingest {

namespace {

/// Converts bytes to characters. Keeps what does not fit the caller's buffer for the next call.
class decoder : public byte_stream {
 public:
  explicit decoder(std::unique_ptr<byte_stream> from) : from_(std::move(from)) {}

  std::size_t read(std::span<char> buffer) final {
    std::size_t filled = 0;
    while (filled < buffer.size()) {
      if (taken_ == decoded_.size()) {
        decoded_.clear();
        taken_ = 0;
        const std::size_t got = from_->read(input_);
        decode(std::string_view(input_.data(), got), got < input_.size(), decoded_);
        if (decoded_.empty() && got < input_.size()) break;
        continue;
      }
      const std::size_t count = decoded_.copy(buffer.data() + filled, buffer.size() - filled, taken_);
      taken_ += count;
      filled += count;
    }
    return filled;
  }

 protected:
  virtual void decode(std::string_view bytes, bool at_end, std::string& text) = 0;

 private:
  std::unique_ptr<byte_stream> from_;
  std::array<char, 64 * 1024> input_;
  std::string decoded_;
  std::size_t taken_ = 0;
};

void append_utf8(std::uint32_t c, std::string& text) {
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xC0 | c >> 6);
    add(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    add(0xE0 | c >> 12);
    add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  } else {
    add(0xF0 | c >> 18);
    add(0x80 | (c >> 12 & 0x3F));
    add(0x80 | (c >> 6 & 0x3F));
    add(0x80 | (c & 0x3F));
  }
}

class latin1_decoder final : public decoder {
  using decoder::decoder;
  void decode(std::string_view bytes, bool, std::string& text) override {
    for (const char c : bytes) append_utf8(static_cast<unsigned char>(c), text);
  }
};

class line_end_decoder final : public decoder {
  using decoder::decoder;
  void decode(std::string_view bytes, bool, std::string& text) override {
    text = bytes;
    for (char& c : text) c = c == '\r' ? '\n' : c;
  }
};

class utf16_decoder final : public decoder {
 public:
  utf16_decoder(std::string name, std::unique_ptr<byte_stream> from)
      : decoder(std::move(from)), name_(std::move(name)) {}

 private:
  void decode(std::string_view bytes, bool at_end, std::string& text) override {
    for (const char c : bytes) {
      ++offset_;
      if (!half_) {
        first_ = static_cast<unsigned char>(c);
        half_ = true;
        continue;
      }
      half_ = false;
      const auto second = static_cast<unsigned char>(c);
      const std::uint32_t little = static_cast<std::uint32_t>(second << 8 | first_);
      const std::uint32_t big = static_cast<std::uint32_t>(first_ << 8 | second);
      if (offset_ == 2 && (little == 0xFEFF || big == 0xFEFF)) {
        big_endian_ = big == 0xFEFF;
      } else {
        add(big_endian_ ? big : little, text);
      }
    }
    if (at_end && (half_ || high_ != 0)) refuse();
  }

  void add(std::uint32_t unit, std::string& text) {
    const bool low = unit >= 0xDC00 && unit < 0xE000;
    if ((high_ != 0) != low) refuse();
    if (low) {
      append_utf8(0x10000 + ((high_ - 0xD800) << 10) + (unit - 0xDC00), text);
      high_ = 0;
    } else if (unit >= 0xD800 && unit < 0xDC00) {
      high_ = unit;
    } else {
      append_utf8(unit, text);
    }
  }

  [[noreturn]] void refuse() const {
    throw input_error(fmt::format("{}: the text is not UTF-16 before its byte {}; see `encoding`", name_, offset_));
  }

  std::string name_;
  std::uint64_t offset_ = 0;
  unsigned first_ = 0;
  bool half_ = false;
  bool big_endian_ = false;
  std::uint32_t high_ = 0;
};

}  // namespace

std::unique_ptr<byte_stream> decode_latin1(std::unique_ptr<byte_stream> text) {
  return std::make_unique<latin1_decoder>(std::move(text));
}

std::unique_ptr<byte_stream> decode_utf16(const std::string& name, std::unique_ptr<byte_stream> text) {
  return std::make_unique<utf16_decoder>(name, std::move(text));
}

std::unique_ptr<byte_stream> replace_line_ends(std::unique_ptr<byte_stream> text) {
  return std::make_unique<line_end_decoder>(std::move(text));
}

}  // namespace negpipe::ingest

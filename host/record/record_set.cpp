#include "record_set.hpp"

#include <fmt/core.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "checksum.hpp"
#include "digest.hpp"
#include "files.hpp"
#include "format.hpp"
#include "gzip_pieces.hpp"
#include "little_endian.hpp"
#include "negpipe/error.hpp"

namespace negpipe::record {

/// One file of the set. slot is the index of a record within the file.
class record_set::output {
 public:
  virtual ~output() = default;
  virtual void write(std::uint64_t slot, std::span<const std::byte> record) = 0;
  /// Makes waiting and later calls of write() return.
  virtual void cancel() noexcept {}
  /// Completes and syncs the file. The result has no name yet.
  virtual record_file finish() = 0;
};

/// Uncompressed file. Records have one size, so their offsets are known and no write waits for another.
class record_set::plain_output final : public output {
 public:
  plain_output(const std::filesystem::path& path, std::uint64_t record_count, std::uint64_t record_bytes)
      : file_(support::file::create(path)),
        record_count_(record_count),
        record_bytes_(record_bytes),
        checksum_(record_count, record_bytes) {}

  void write(std::uint64_t slot, std::span<const std::byte> record) override {
    const std::uint64_t offset = slot * record_bytes_;
    file_.write_at(offset, record);
    file_.start_writeback(offset, record_bytes_);
    checksum_.add(slot, frame_crc(record));
    ++written_;
  }

  record_file finish() override {
    if (written_ != record_count_) {
      throw format_error(fmt::format("{}: {} of {} records were written", file_.path().string(), written_.load(),
                                     record_count_));
    }
    write_index();
    file_.sync();
    file_.close();
    return {{}, record_count_, record_count_ * record_bytes_, checksum_.value()};
  }

 private:
  /// Returns the checksum of a frame. The payload is not read: its checksum is at the end of the frame.
  static std::uint32_t frame_crc(std::span<const std::byte> record) {
    const auto footer = record.last(frame_footer_bytes);
    const std::uint32_t payload_crc = unmask_crc(load_le<std::uint32_t>(footer.data()));
    const crc32c_carry over_payload(record.size() - frame_bytes);
    const std::uint32_t crc = over_payload.join(support::crc32c(record.first(frame_header_bytes)), payload_crc);
    return support::crc32c(footer, crc);
  }

  /// Writes a line "offset length" per frame, as DALI's tfrecord2idx does.
  void write_index() const {
    constexpr std::size_t buffer_bytes = std::size_t{1} << 16;
    support::file index = support::file::create(file_.path().string() + std::string(index_suffix));
    std::string text;
    for (std::uint64_t i = 0; i < record_count_; ++i) {
      text += fmt::format("{} {}\n", i * record_bytes_, record_bytes_);
      if (text.size() < buffer_bytes) continue;
      index.write(std::as_bytes(std::span(text)));
      text.clear();
    }
    index.write(std::as_bytes(std::span(text)));
    index.sync();
    index.close();
  }

  support::file file_;
  std::uint64_t record_count_;
  std::uint64_t record_bytes_;
  crc32c_of_records checksum_;
  std::atomic<std::uint64_t> written_ = 0;
};

/// One gzip member. Its pieces are compressed in parallel and appended in order.
class record_set::gzip_output final : public output {
 public:
  gzip_output(const std::filesystem::path& path, std::uint64_t record_count, std::uint64_t max_waiting_bytes)
      : file_(support::file::create(path)), record_count_(record_count), max_waiting_bytes_(max_waiting_bytes) {
    append(gzip_header());
  }

  void write(std::uint64_t slot, std::span<const std::byte> record) override {
    gzip_piece piece = compress_piece(record);
    std::unique_lock lock(mutex_);
    const std::uint64_t size = piece.deflated.size();
    turn_.wait(lock, [&] { return cancelled_ || slot == next_ || fits(size); });
    if (cancelled_) return;
    waiting_bytes_ += size;
    waiting_.emplace(slot, std::move(piece));
    for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_; first = waiting_.begin()) {
      checksum_.add(first->second);
      append(first->second.deflated);
      waiting_bytes_ -= first->second.deflated.size();
      waiting_.erase(first);
      ++next_;
    }
    turn_.notify_all();
  }

  void cancel() noexcept override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    turn_.notify_all();
  }

  record_file finish() override {
    if (next_ != record_count_) {
      throw format_error(fmt::format("{}: {} of {} records were written", file_.path().string(), next_, record_count_));
    }
    append(gzip_trailer(checksum_));
    file_.sync();
    file_.close();
    return {{}, record_count_, byte_count_, crc_};
  }

 private:
  bool fits(std::uint64_t size) const {
    return size <= max_waiting_bytes_ && waiting_bytes_ <= max_waiting_bytes_ - size;
  }

  void append(std::span<const std::byte> bytes) {
    file_.write(bytes);
    file_.start_writeback(byte_count_, bytes.size());
    byte_count_ += bytes.size();
    crc_ = support::crc32c(bytes, crc_);
  }

  support::file file_;
  std::uint64_t record_count_;
  std::uint64_t max_waiting_bytes_;
  std::mutex mutex_;  // guards all members below
  std::condition_variable turn_;
  std::map<std::uint64_t, gzip_piece> waiting_;  ///< pieces that were compressed before an earlier one, by slot
  std::uint64_t waiting_bytes_ = 0;
  bool cancelled_ = false;
  std::uint64_t next_ = 0;
  gzip_checksum checksum_;
  std::uint64_t byte_count_ = 0;
  std::uint32_t crc_ = 0;
};

record_set::record_set(const std::filesystem::path& folder, std::string_view prefix, const file_layout& layout,
                       std::uint64_t record_bytes, compression_type compression, std::uint64_t max_waiting_bytes)
    : record_set(folder, prefix, layout, {0, layout.file_count}, record_bytes, compression, max_waiting_bytes) {}

record_set::record_set(const std::filesystem::path& folder, std::string_view prefix, const file_layout& layout,
                       file_range range, std::uint64_t record_bytes, compression_type compression,
                       std::uint64_t max_waiting_bytes)
    : folder_(folder), layout_(layout), range_(range) {
  for (std::uint32_t i = range.first; i < range.first + range.count; ++i) {
    names_.push_back(record_file_name(prefix, i));
    const std::filesystem::path path = folder / names_.back();
    if (compression == compression_type::gzip) {
      outputs_.push_back(
          std::make_unique<gzip_output>(path, layout.batches_in(i), max_waiting_bytes / range.count));
    } else {
      outputs_.push_back(std::make_unique<plain_output>(path, layout.batches_in(i), record_bytes));
    }
  }
}

record_set::~record_set() = default;

void record_set::write(std::uint64_t batch, std::span<const std::byte> record) {
  const std::uint64_t file = batch / layout_.batches_per_file();
  outputs_[file - range_.first]->write(batch - file * layout_.batches_per_file(), record);
}

void record_set::cancel() noexcept {
  for (const auto& file : outputs_) file->cancel();
}

std::vector<record_file> record_set::finish() {
  std::vector<record_file> files;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    files.push_back(outputs_[i]->finish());
    files.back().name = names_[i];
  }
  support::sync_folder(folder_);
  return files;
}

}  // namespace negpipe::record

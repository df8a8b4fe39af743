// Constants of the record format, which must not change. FORMAT.md explains them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace negpipe::record {

/// Increased by a change that older readers cannot read.
inline constexpr std::uint32_t format_version = 1;

inline constexpr std::string_view training_folder = "training_epochs";
inline constexpr std::string_view evaluation_folder = "eval_data";
inline constexpr std::string_view ready_file_name = "ready.json";
inline constexpr std::string_view training_prefix = "train";
inline constexpr std::string_view evaluation_prefix = "eval";

/// Features of a record.
inline constexpr std::string_view user_key = "user_id";
inline constexpr std::string_view item_key = "item_id";
inline constexpr std::string_view negative_key = "negative_item_id";
inline constexpr std::string_view label_key = "labels";
inline constexpr std::string_view duplicate_key = "duplicate_mask";
inline constexpr std::string_view valid_key = "valid_point_mask";

/// TFRecord framing: u64 length, u32 masked CRC of it, the payload, u32 masked CRC of the payload.
inline constexpr std::uint64_t frame_header_bytes = 12;
inline constexpr std::uint64_t frame_footer_bytes = 4;
inline constexpr std::uint64_t frame_bytes = frame_header_bytes + frame_footer_bytes;

/// Protobuf's limit of 2 GiB on a message.
inline constexpr std::uint64_t max_payload_bytes = 0x7FFF'FFFF;

/// Returns a name such as "cycle_00042".
std::string cycle_folder_name(std::uint64_t cycle);
/// Returns a name such as "train_3.tfrecords".
std::string record_file_name(std::string_view prefix, std::uint32_t file);
/// Suffix of the index file of a record file.
inline constexpr std::string_view index_suffix = ".idx";

}  // namespace negpipe::record

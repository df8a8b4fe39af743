// Dense ids. Two enums, so that swapping a user and an item does not compile.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe {

/// A user's dense id in [0, user_count), in order of first appearance in the prepared ratings.
enum class user_id : std::int32_t {};

/// An item's dense id in [0, item_count), in order of first appearance in the prepared ratings.
enum class item_id : std::int32_t {};

NEGPIPE_HD constexpr std::int32_t index(user_id user) { return static_cast<std::int32_t>(user); }
NEGPIPE_HD constexpr std::int32_t index(item_id item) { return static_cast<std::int32_t>(item); }

}  // namespace negpipe

// Dense ids. Two enums, so that a user and an item cannot change places unnoticed.
#pragma once

#include <cstdint>

#include "negpipe/core/hd.hpp"

namespace negpipe {

/// A user's dense number in [0, user_count): the order of first appearance in the prepared ratings.
enum class user_id : std::int32_t {};

/// An item's dense number in [0, item_count), likewise.
enum class item_id : std::int32_t {};

NEGPIPE_HD constexpr std::int32_t index(user_id user) { return static_cast<std::int32_t>(user); }
NEGPIPE_HD constexpr std::int32_t index(item_id item) { return static_cast<std::int32_t>(item); }

}  // namespace negpipe

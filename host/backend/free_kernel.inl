// Free draws and membership of pairs. Included by point_kernels.inl.

/// Repeats each user for its elements.
class user_repeater {
 public:
  user_repeater(const std::int32_t* users, std::uint64_t element, std::uint32_t negatives)
      : next_(users + element / negatives),
        left_(negatives - static_cast<std::uint32_t>(element % negatives)),
        negatives_(negatives) {}

  /// Writes the users of the next count elements, and up to lane_count values past them.
  void operator()(std::int32_t* out, std::uint32_t count) {
    for (std::uint32_t done = 0; done < count;) {
      const std::uint32_t repeats = left_ < count - done ? left_ : count - done;
      const lanes user = all32(static_cast<std::uint32_t>(*next_));
      for (std::uint32_t i = 0; i < repeats; i += lane_count) store(out + done + i, user);
      done += repeats;
      left_ -= repeats;
      if (left_ == 0) {
        ++next_;
        left_ = negatives_;
      }
    }
  }

 private:
  const std::int32_t* next_;
  std::uint32_t left_;  // elements of *next_ to come
  std::uint32_t negatives_;
};

/// Sets users and fixed columns of a block. A negative user's item is fixed to no_item; its membership is read for
/// user 0.
inline void place_users(const std::int32_t* users, draw_block& block) {
  static constexpr std::uint32_t none = static_cast<std::uint32_t>(core::no_item);
  const std::uint32_t padded = block.padded_count();
  for (std::uint32_t i = 0; i < padded; i += lane_count) {
    const lanes user = load(users + i);
    const lane_mask is_padding = is_below(all32(0x7FFFFFFFU), user);
    store(block.users + i, select(is_padding, all32(0), user));
    block.fixed[i / lane_count] = is_padding;
  }
  for (std::uint32_t i = 0; i < padded; ++i) block.where[i] = &none;
}

/// Alternates two blocks: while one is proposed, the reads that settle the other are in flight.
template <typename Lookup, typename ItemDraw>
void draw_all(const draw_job<ItemDraw>& job, const free_job& call, const std::int32_t* users, std::uint64_t begin,
              std::uint64_t end, std::int32_t* out) {
  const std::uint64_t base = call.first_element;
  const auto put = [&](std::uint64_t draw, std::uint32_t item) { out[draw - base] = static_cast<std::int32_t>(item); };
  user_repeater repeat(users, begin, call.negatives);
  std::int32_t repeated[block_points + 2 * lane_count];
  redraws again;
  draw_block blocks[2];
  blocks[1].count = 0;
  const auto finish = [&](draw_block& block) {
    settle<Lookup>(job, block, again);
    std::int32_t* const items = out + (block.first - base);
    for (std::uint32_t i = 0; i < block.count; ++i) items[i] = static_cast<std::int32_t>(block.items[i]);
    while (again.has_batch()) again.template advance<Lookup>(job, put);
  };
  std::uint32_t turn = 0;
  for (std::uint64_t done = begin; done < end; turn = 1 - turn) {
    draw_block& block = blocks[turn];
    draw_block& before = blocks[1 - turn];
    block.first = base + done;
    const std::uint64_t room = block_points - block.first % 4;  // later blocks begin with a group of four
    block.count = static_cast<std::uint32_t>(end - done < room ? end - done : room);
    done += block.count;
    repeat(repeated, block.count);
    for (std::uint32_t i = block.count; i < block.padded_count(); ++i) repeated[i] = 0;
    place_users(repeated, block);
    prefetcher(before).finish();
    propose<Lookup>(job, block);
    if (before.count != 0) finish(before);
  }
  if (begin != end) finish(blocks[1 - turn]);
  while (!again.is_empty()) again.template advance<Lookup>(job, put);
}

void fill_free(const free_job& call, const core::positives_view& view, const std::int32_t* users, std::uint64_t begin,
               std::uint64_t end, std::int32_t* out) {
  const core::draw_stream stream = core::free_stream::for_users(call.at).draws;
  with_lookup(view.form, [&]<typename Lookup>(Lookup) {
    if (call.weights != nullptr) {
      draw_all<Lookup>(draw_job{view, *call.weights, stream, call.seed}, call, users, begin, end, out);
    } else {
      draw_all<Lookup>(draw_job{view, call.item_draw, stream, call.seed}, call, users, begin, end, out);
    }
  });
}

/// Looks up block after block, so that their reads overlap.
template <typename Lookup>
void contains_all(const core::positives_view& view, const std::int32_t* users, const std::int32_t* items,
                  std::uint64_t count, std::uint8_t* found) {
  std::int32_t known[block_points];
  std::uint32_t asked[block_points];
  const std::uint32_t* where[block_points];
  std::uint32_t values[block_points];
  values[0] = 0;  // GCC 12 warns of find_taken otherwise
  std::uint32_t taken[block_points];
  for (std::uint64_t done = 0; done < count;) {
    const auto size = static_cast<std::uint32_t>(count - done < block_points ? count - done : block_points);
    const std::uint32_t padded = round_up(size, lane_count);
    for (std::uint32_t i = 0; i < size; ++i) known[i] = users[done + i] < 0 ? 0 : users[done + i];
    for (std::uint32_t i = 0; i < size; ++i) {
      asked[i] = items[done + i] < 0 ? 0 : static_cast<std::uint32_t>(items[done + i]);
    }
    for (std::uint32_t i = size; i < padded; ++i) known[i] = 0;
    for (std::uint32_t i = size; i < padded; ++i) asked[i] = 0;
    Lookup::locate(view, {known, asked, padded}, where);
    for (std::uint32_t i = 0; i < padded; ++i) __builtin_prefetch(where[i]);
    for (std::uint32_t i = 0; i < padded; ++i) values[i] = *where[i];
    Lookup::find_taken(view, {known, asked, padded}, values, taken);
    for (std::uint32_t i = 0; i < size; ++i) {
      const bool is_padding = (users[done + i] | items[done + i]) < 0;
      found[done + i] = static_cast<std::uint8_t>(is_padding ? 0 : taken[i] & 1U);
    }
    done += size;
  }
}

void contains(const core::positives_view& view, const std::int32_t* users, const std::int32_t* items,
              std::uint64_t count, std::uint8_t* found) {
  with_lookup(view.form,
              [&]<typename Lookup>(Lookup) { contains_all<Lookup>(view, users, items, count, found); });
}

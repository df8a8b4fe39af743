// Draws a block of items: from (user, draw index) to an item outside the user's positives. Independent of where users
// come from and how items are written. Included by point_kernels.inl.

/// Draws per block. Longer blocks overlap more reads, until the block no longer fits the L1 cache.
constexpr std::uint32_t block_points = 256;

constexpr std::uint32_t round_up(std::uint32_t count, std::uint32_t step) { return (count + step - 1) / step * step; }

/// The constants of all draws of a call. ItemDraw: bounded32 or weighted_draw.
template <typename ItemDraw>
struct draw_job {
  core::positives_view view;
  ItemDraw item_draw;
  core::draw_stream stream;
  std::uint64_t seed;
};
template <typename ItemDraw>
draw_job(core::positives_view, ItemDraw, core::draw_stream, std::uint64_t) -> draw_job<ItemDraw>;

/// Draws with indices [first, first + count). Column i belongs to draw first + i; columns up to the next multiple of
/// lane_count hold a valid user too. A fixed column has no draw: its item is the word at its address.
struct draw_block {
  std::uint64_t first;
  std::uint32_t count;
  std::int32_t users[block_points + lane_count];  // with room for a vector that begins at any column
  std::uint32_t items[block_points];         // candidates, finally the items
  const std::uint32_t* where[block_points];  // the fixed item, or the membership word of the candidate
  lane_mask fixed[block_points / lane_count];
  lane_mask rejected[block_points / lane_count];  // the candidate's random word is rejected

  std::uint32_t padded_count() const { return round_up(count, lane_count); }
};

/// Candidate items of users. All arrays have room for a multiple of lane_count.
struct candidates {
  const std::int32_t* users;
  const std::uint32_t* items;
  std::uint32_t count;
};

/// Membership in a bitset: one word settles a candidate.
struct bitset_lookup {
  /// Stores the addresses of the words that settle the candidates.
  static void locate(const core::positives_view& view, const candidates& asked, const std::uint32_t** where) {
    for (std::uint32_t i = 0; i < asked.count; i += lane_count) {
      store_addresses(where + i, word_addresses(view.bitset.words, load(asked.users + i), view.bitset.words_per_row,
                                                shift_down<5>(load(asked.items + i))));
    }
  }

  /// Sets the lowest bit of taken[i] if candidate i is a positive. values[i] is the word at its address.
  static void find_taken(const core::positives_view&, const candidates& asked, const std::uint32_t* values,
                         std::uint32_t* taken) {
    for (std::uint32_t i = 0; i < asked.count; i += lane_count) {
      store(taken + i, rotate_down(load(values + i), load(asked.items + i)));
    }
  }
};

/// Membership by binary search. Locates the middle of the user's row, where the search begins, for prefetching.
struct search_lookup {
  static constexpr std::int32_t empty_row[] = {-1};

  static void locate(const core::positives_view& view, const candidates& asked, const std::uint32_t** where) {
    for (std::uint32_t i = 0; i < asked.count; ++i) {
      const core::item_row row = view.csr.row(user_id{asked.users[i]});
      where[i] = reinterpret_cast<const std::uint32_t*>(row.count == 0 ? empty_row : row.items + row.count / 2);
    }
  }

  /// Advances all searches together, for as many steps as the longest needs, so that reads overlap and no search
  /// branches. Each narrows its row to one vector that contains the last item not above its candidate.
  static void find_taken(const core::positives_view& view, const candidates& asked, const std::uint32_t*,
                         std::uint32_t* taken) {
    const std::int32_t* begin[block_points];
    std::uint32_t length[block_points];
    std::uint32_t longest = 0;
    for (std::uint32_t i = 0; i < asked.count; ++i) {
      const core::item_row row = view.csr.row(user_id{asked.users[i]});
      begin[i] = row.count == 0 ? empty_row : row.items;  // one word is read even then
      length[i] = row.count;
      longest = longest < length[i] ? length[i] : longest;
    }
    for (; longest > lane_count; longest -= longest / 2) {
      for (std::uint32_t i = 0; i < asked.count; ++i) {
        const std::uint32_t half = length[i] / 2;
        const auto item = static_cast<std::int32_t>(asked.items[i]);
        begin[i] += half & (0U - static_cast<std::uint32_t>(begin[i][half] <= item));  // masked, to avoid a branch
        length[i] -= half;
      }
    }
    for (std::uint32_t i = 0; i < asked.count; ++i) taken[i] = holds(begin[i], length[i], asked.items[i]);
  }
};

/// Membership in a Bloom filter: one word settles nearly every candidate; hits are confirmed by search.
struct filter_lookup {
  /// The fields of core::bloom_filter_view::slot_of, in lanes.
  struct slots {
    lanes word;
    lanes bits;
  };
  static slots slots_of(const core::bloom_filter_view& filter, lanes users, lanes items) {
    lanes hash = add(product_low(users, all32(0x9E3779B1U)), items);
    hash = product_low(bits_xor(hash, shift_down<15>(hash)), all32(0x2C1B3C6DU));
    return {product_high(hash, all32(filter.word_count)), add(product_low(items, all32(0x297A2D39U)), hash)};
  }

  static void locate(const core::positives_view& view, const candidates& asked, const std::uint32_t** where) {
    for (std::uint32_t i = 0; i < asked.count; i += lane_count) {
      const slots at = slots_of(view.filter, load(asked.users + i), load(asked.items + i));
      store_addresses(where + i, word_addresses(view.filter.words, at.word));
    }
  }

  static void find_taken(const core::positives_view& view, const candidates& asked, const std::uint32_t* values,
                         std::uint32_t* taken) {
    std::uint32_t columns[block_points + lane_count];
    std::int32_t users[block_points];
    std::uint32_t items[block_points];
    std::uint32_t confirmed[block_points];
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < asked.count; i += lane_count) {
      const lanes bits = slots_of(view.filter, load(asked.users + i), load(asked.items + i)).bits;
      const lanes value = load(values + i);
      const lanes both = bits_and(rotate_down(value, bits), rotate_down(value, shift_down<5>(bits)));
      store(taken + i, both);
      count += compress(columns + count, add(lane_numbers(), all32(i)), is_odd(both));
    }
    for (std::uint32_t k = 0; k < count; ++k) {
      users[k] = asked.users[columns[k]];
      items[k] = asked.items[columns[k]];
    }
    search_lookup::find_taken(view, {users, items, count}, nullptr, confirmed);
    for (std::uint32_t k = 0; k < count; ++k) taken[columns[k]] = confirmed[k];
  }
};

/// Calls work with the lookup of a membership form.
template <typename Work>
void with_lookup(core::membership form, const Work& work) {
  switch (form) {
    case core::membership::bitset: return work(bitset_lookup{});
    case core::membership::bloom_filter: return work(filter_lookup{});
    case core::membership::sorted_search: return work(search_lookup{});
  }
}

/// Turns random words into candidates: core::bounded32 in lanes. Returns the mask of rejected words.
inline lane_mask take_candidates(const core::bounded32& item_draw, const std::uint32_t* words, std::uint32_t* items) {
  const word_products scaled = multiply(load(words), all32(item_draw.n));
  store(items, scaled.high);
  return is_below(scaled.low, all32(item_draw.threshold));
}

/// The same for core::weighted_draw. A rejected word's candidate is item 0, whose membership can be read.
inline lane_mask take_candidates(const core::weighted_draw& item_draw, const std::uint32_t* words,
                                 std::uint32_t* items) {
  const lanes word = load(words);
  const lanes column = shift_down(word, item_draw.shift);
  const auto* const table = reinterpret_cast<const std::int32_t*>(item_draw.columns);
  const word_pairs at = gather_pairs(table, add(column, column));
  const lanes item = select(is_below(word, at.first), column, at.second);
  const lane_mask rejected = is_below(all32(item_draw.item_count - 1), item);
  store(items, select(rejected, all32(0), item));
  return rejected;
}

/// Prefetches the membership words of a block, a few columns per call: a burst would fill the read queue and stall
/// concurrent arithmetic.
class prefetcher {
 public:
  explicit prefetcher(const draw_block& block) : next_(block.where), end_(block.where + block.count) {}

  void operator()() {
    constexpr std::uint32_t step = 16;
    const std::uint32_t* const* const stop = end_ - next_ < step ? end_ : next_ + step;
    for (; next_ != stop; ++next_) __builtin_prefetch(*next_);
  }
  void finish() {
    for (; next_ != end_; ++next_) __builtin_prefetch(*next_);
  }

 private:
  const std::uint32_t* const* next_;
  const std::uint32_t* const* end_;
};

/// Sets the first candidate of every column and the address of its membership word. users, fixed and where of the fixed
/// columns must be set.
template <typename Lookup, typename ItemDraw>
void propose(const draw_job<ItemDraw>& job, draw_block& block) {
  constexpr std::uint32_t max_groups = round_up(block_points / 4 + 1, random_step);
  std::uint64_t groups[max_groups];
  std::uint32_t purpose[max_groups];
  std::uint32_t words[4 * max_groups + lane_count];
  const core::counter c = core::make_counter(job.stream.candidates, job.stream.cycle, 0, 0);
  const auto skipped = static_cast<std::uint32_t>(block.first % 4);
  const std::uint32_t count = block.padded_count();
  const std::uint32_t group_count = round_up((skipped + count + 3) / 4, random_step);
  for (std::uint32_t i = 0; i < max_groups; ++i) groups[i] = block.first / 4 + i;
  for (std::uint32_t i = 0; i < max_groups; ++i) purpose[i] = c.word[1];
  random_words(job.seed, c.word[0], purpose, groups, group_count, words);
  for (std::uint32_t i = 0; i < count; i += lane_count) {
    block.rejected[i / lane_count] = take_candidates(job.item_draw, words + skipped + i, block.items + i);
  }
  const std::uint32_t* membership[block_points];
  Lookup::locate(job.view, {block.users, block.items, count}, membership);
  for (std::uint32_t i = 0; i < count; i += lane_count) {
    store_addresses(block.where + i, select(block.fixed[i / lane_count], load_addresses(block.where + i),
                                            load_addresses(membership + i)));
  }
}

/// Draws whose candidate was refused (rejected word, or a positive) and that need another one. Collected over blocks,
/// so that vectors are full and the reads of a batch overlap with other work.
class redraws {
 public:
  static constexpr std::uint32_t batch = 64;

  bool is_empty() const { return waiting_ == 0 && asked_ == 0; }
  bool has_batch() const { return waiting_ >= batch; }

  /// Adds the columns of a block whose first candidate was refused.
  void add(const draw_block& block, const std::uint32_t* columns, std::uint32_t count) {
    for (std::uint32_t k = 0; k < count; ++k) push(block.first + columns[k], block.users[columns[k]], 1);
  }

  /// Settles the last proposed batch, by put(draw, item) or another attempt, and proposes the next one.
  template <typename Lookup, typename ItemDraw, typename Put>
  void advance(const draw_job<ItemDraw>& job, const Put& put) {
    settle<Lookup>(job, put);
    propose<Lookup>(job);
  }

 private:
  void push(std::uint64_t draw, std::int32_t user, std::uint32_t attempt) {
    draws_[waiting_] = draw;
    users_[waiting_] = user;
    attempts_[waiting_] = attempt;
    ++waiting_;
  }

  template <typename Lookup, typename ItemDraw>
  void propose(const draw_job<ItemDraw>& job) {
    asked_ = waiting_ < batch ? waiting_ : batch;
    if (asked_ == 0) return;
    waiting_ -= asked_;
    const std::uint32_t padded = round_up(asked_, lane_count);
    std::uint64_t groups[batch] = {};
    std::uint32_t purpose[batch] = {};
    std::uint32_t blocks[4 * batch];
    std::uint32_t words[batch] = {};
    for (std::uint32_t k = 0; k < asked_; ++k) {
      batch_draws_[k] = draws_[waiting_ + k];
      batch_users_[k] = users_[waiting_ + k];
      batch_attempts_[k] = attempts_[waiting_ + k];
      groups[k] = batch_draws_[k] / 4;
      purpose[k] = core::make_counter(job.stream.candidates, 0, 0, batch_attempts_[k]).word[1];
    }
    for (std::uint32_t k = asked_; k < padded; ++k) batch_users_[k] = batch_users_[0];
    random_words(job.seed, job.stream.cycle, purpose, groups, round_up(asked_, random_step), blocks);
    for (std::uint32_t k = 0; k < asked_; ++k) words[k] = blocks[4 * k + batch_draws_[k] % 4];
    for (std::uint32_t k = 0; k < padded; k += lane_count) {
      rejected_[k / lane_count] = take_candidates(job.item_draw, words + k, items_ + k);
    }
    Lookup::locate(job.view, {batch_users_, items_, padded}, where_);
    for (std::uint32_t k = 0; k < asked_; ++k) __builtin_prefetch(where_[k]);
  }

  template <typename Lookup, typename ItemDraw, typename Put>
  void settle(const draw_job<ItemDraw>& job, const Put& put) {
    const std::uint32_t padded = round_up(asked_, lane_count);
    std::uint32_t values[batch];
    values[0] = 0;  // GCC 12 warns of find_taken if it does not inline settle
    std::uint32_t taken[batch];
    std::uint32_t refused[batch + lane_count];
    std::uint32_t count = 0;
    for (std::uint32_t k = 0; k < padded; ++k) values[k] = *where_[k];
    Lookup::find_taken(job.view, {batch_users_, items_, padded}, values, taken);
    for (std::uint32_t k = 0; k < padded; k += lane_count) {
      const lane_mask again = either(is_odd(load(taken + k)), rejected_[k / lane_count]);
      count += compress(refused + count, negpipe::add(lane_numbers(), all32(k)), again);
    }
    for (std::uint32_t k = 0; k < asked_; ++k) put(batch_draws_[k], items_[k]);  // refused items are overwritten later
    for (std::uint32_t r = 0; r < count && refused[r] < asked_; ++r) try_again(job, refused[r], put);
  }

  template <typename ItemDraw, typename Put>
  void try_again(const draw_job<ItemDraw>& job, std::uint32_t k, const Put& put) {
    if (batch_attempts_[k] + 1 < core::max_draw_attempts) {
      push(batch_draws_[k], batch_users_[k], batch_attempts_[k] + 1);
      return;
    }
    const auto outside = core::items_outside(job.view, user_id{batch_users_[k]}, job.item_draw);
    const std::uint32_t mass = core::draw_below(outside.mass(), job.stream.fallback, job.stream.cycle, batch_draws_[k],
                                                core::philox_source{job.seed});
    put(batch_draws_[k], static_cast<std::uint32_t>(outside.item_at(mass)));
  }

  // Waiting draws: less than a batch, plus what one block and one batch add.
  static constexpr std::uint32_t room = block_points + 2 * batch;
  std::uint64_t draws_[room];
  std::int32_t users_[room];
  std::uint32_t attempts_[room];
  std::uint32_t waiting_ = 0;
  // The batch whose reads are in flight.
  std::uint64_t batch_draws_[batch];
  std::int32_t batch_users_[batch];
  std::uint32_t batch_attempts_[batch];
  std::uint32_t items_[batch];
  const std::uint32_t* where_[batch];
  lane_mask rejected_[batch / lane_count];
  std::uint32_t asked_ = 0;
};

/// Turns candidates into items unless they are refused; those become redraws, whose items put() writes later.
template <typename Lookup, typename ItemDraw>
void settle(const draw_job<ItemDraw>& job, draw_block& block, redraws& again) {
  std::uint32_t values[block_points];
  values[0] = 0;  // GCC 12 warns of find_taken if it does not inline settle
  std::uint32_t taken[block_points];
  std::uint32_t refused[block_points + lane_count];
  std::uint32_t count = 0;
  const std::uint32_t padded = block.padded_count();
  for (std::uint32_t i = 0; i < padded; ++i) values[i] = *block.where[i];
  Lookup::find_taken(job.view, {block.users, block.items, padded}, values, taken);
  for (std::uint32_t i = 0; i < padded; i += lane_count) {
    const std::uint32_t at = i / lane_count;
    store(block.items + i, select(block.fixed[at], load(values + i), load(block.items + i)));
    const lane_mask is_refused = without(either(is_odd(load(taken + i)), block.rejected[at]), block.fixed[at]);
    count += compress(refused + count, add(lane_numbers(), all32(i)), is_refused);
  }
  while (count != 0 && refused[count - 1] >= block.count) --count;  // columns past the end
  again.add(block, refused, count);
}

/// Writes the items of a block to items [offset, offset + count) of a column.
void write_items(const draw_block& block, std::uint64_t offset, void* column, item_type width) {
  const std::uint32_t whole = block.count / lane_count * lane_count;
  if (width == item_type::uint16) {
    auto* const items = static_cast<std::uint16_t*>(column) + offset;
    for (std::uint32_t i = 0; i < whole; i += lane_count) store_halves(items + i, load(block.items + i));
    for (std::uint32_t i = whole; i < block.count; ++i) items[i] = static_cast<std::uint16_t>(block.items[i]);
  } else {
    auto* const items = static_cast<std::int32_t*>(column) + offset;
    for (std::uint32_t i = 0; i < whole; i += lane_count) store(items + i, load(block.items + i));
    for (std::uint32_t i = whole; i < block.count; ++i) items[i] = static_cast<std::int32_t>(block.items[i]);
  }
}

inline void write_item(void* column, item_type width, std::uint64_t offset, std::uint32_t item) {
  if (width == item_type::uint16) {
    static_cast<std::uint16_t*>(column)[offset] = static_cast<std::uint16_t>(item);
  } else {
    static_cast<std::int32_t*>(column)[offset] = static_cast<std::int32_t>(item);
  }
}

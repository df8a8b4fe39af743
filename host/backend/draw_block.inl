// A block of neighbouring points whose items are read or drawn together. Included by point_kernels.inl.

/// Points that are made together. Longer blocks overlap more reads, until the block itself leaves the L1 cache.
constexpr std::uint32_t block_points = 256;

constexpr std::uint32_t round_up(std::uint32_t count, std::uint32_t step) { return (count + step - 1) / step * step; }

/// What all draws of a call have in common.
struct draw_job {
  core::positives_view view;
  core::bounded32 item_draw;
  core::draw_stream stream;
  std::uint64_t seed;
};

/// Positions [first, first + count) on their way to items. Column i belongs to position first + i.
struct draw_block {
  std::uint64_t first;
  std::uint32_t count;
  std::int32_t users[block_points];
  std::int8_t labels[block_points];
  std::uint8_t refused[block_points];          // the candidate's word would have been biased
  std::uint32_t items[block_points];           // candidates, and in the end the items
  const std::uint32_t* where[block_points];    // what settles the point: its positive item, or a membership word
};

/// Candidates of users, side by side.
struct candidates {
  const std::int32_t* users;
  const std::uint32_t* items;
  std::uint32_t count;
};

/// Membership in a bitset: one word settles a candidate.
struct bitset_lookup {
  static const std::uint32_t* where(const core::positives_view& view, std::int32_t user, std::uint32_t item) {
    return view.bitset.word_of(user_id{user}, static_cast<std::int32_t>(item));
  }

  /// values[i] is what stands at where(users[i], items[i]).
  static void find_taken(const core::positives_view&, const candidates& asked, const std::uint32_t* values,
                         std::uint8_t* taken) {
    for (std::uint32_t i = 0; i < asked.count; ++i) taken[i] = values[i] >> (asked.items[i] % 32) & 1U;
  }
};

/// Membership by search. The middle of the user's row is where a search begins, and so what is worth fetching.
struct search_lookup {
  static constexpr std::int32_t empty_row[] = {-1};

  static const std::uint32_t* where(const core::positives_view& view, std::int32_t user, std::uint32_t) {
    const core::item_row row = view.csr.row(user_id{user});
    return reinterpret_cast<const std::uint32_t*>(row.count == 0 ? empty_row : row.items + row.count / 2);
  }

  /// All searches advance together, by the steps of the longest, so that their reads overlap and none branches: each
  /// looks for the last item of its row that is not above its candidate.
  static void find_taken(const core::positives_view& view, const candidates& asked, const std::uint32_t*,
                         std::uint8_t* taken) {
    const std::int32_t* begin[block_points];
    std::uint32_t length[block_points];
    std::uint32_t longest = 1;
    for (std::uint32_t i = 0; i < asked.count; ++i) {
      const core::item_row row = view.csr.row(user_id{asked.users[i]});
      begin[i] = row.count == 0 ? empty_row : row.items;
      length[i] = row.count == 0 ? 1 : row.count;
      longest = longest < length[i] ? length[i] : longest;
    }
    for (; longest > 1; longest -= longest / 2) {
      for (std::uint32_t i = 0; i < asked.count; ++i) {
        const std::uint32_t half = length[i] / 2;
        const auto item = static_cast<std::int32_t>(asked.items[i]);
        begin[i] += half & (0U - static_cast<std::uint32_t>(begin[i][half] <= item));  // masked: never a branch
        length[i] -= half;
      }
    }
    for (std::uint32_t i = 0; i < asked.count; ++i) {
      taken[i] = *begin[i] == static_cast<std::int32_t>(asked.items[i]);
    }
  }
};

/// Membership in a Bloom filter: one word settles nearly every candidate; those that it lets through are searched.
struct filter_lookup {
  static const std::uint32_t* where(const core::positives_view& view, std::int32_t user, std::uint32_t item) {
    return view.filter.words + view.filter.slot_of(user_id{user}, static_cast<std::int32_t>(item)).word;
  }

  static void find_taken(const core::positives_view& view, const candidates& asked, const std::uint32_t* values,
                         std::uint8_t* taken) {
    const core::bloom_filter_view filter = view.filter;
    for (std::uint32_t i = 0; i < asked.count; ++i) {
      const auto item = static_cast<std::int32_t>(asked.items[i]);
      taken[i] = filter.slot_of(user_id{asked.users[i]}, item).both_in(values[i]) & 1U;
    }
    std::uint32_t column[block_points];
    std::int32_t users[block_points];
    std::uint32_t items[block_points];
    std::uint8_t confirmed[block_points];
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < asked.count; ++i) {
      column[count] = i;
      users[count] = asked.users[i];
      items[count] = asked.items[i];
      count += taken[i];
    }
    search_lookup::find_taken(view, {users, items, count}, nullptr, confirmed);
    for (std::uint32_t k = 0; k < count; ++k) taken[column[k]] = confirmed[k];
  }
};

/// Calls work with the lookup of a form.
template <typename Work>
void with_lookup(core::membership form, const Work& work) {
  switch (form) {
    case core::membership::bitset: return work(bitset_lookup{});
    case core::membership::bloom_filter: return work(filter_lookup{});
    case core::membership::sorted_search: return work(search_lookup{});
  }
}

inline void draw_words(const draw_job& job, std::uint32_t attempt, const std::uint64_t* indices, std::uint32_t count,
                       std::uint32_t* words) {
  const core::counter c = core::make_counter(job.stream.candidates, job.stream.cycle, 0, attempt);
  random_words(job.seed, c.word[0], c.word[1], indices, round_up(count, random_step), words);
}

/// Gives every point that is not positive its first candidate, and asks the cache for all that settle() will read.
/// users, labels and the positives' where must be set.
template <typename Lookup>
void propose(const draw_job& job, draw_block& block) {
  constexpr std::uint32_t most_groups = round_up(block_points / 4 + 1, random_step);
  std::uint64_t groups[most_groups];
  std::uint32_t words[4 * most_groups];
  const auto skipped = static_cast<std::uint32_t>(block.first % 4);
  const std::uint32_t group_count = (skipped + block.count + 3) / 4;
  for (std::uint32_t i = 0; i < most_groups; ++i) groups[i] = block.first / 4 + i;
  draw_words(job, 0, groups, group_count, words);
  const core::bounded32 item_draw = job.item_draw;  // a copy: stores of bytes might change anything else
  for (std::uint32_t i = 0; i < block.count; ++i) {
    block.refused[i] = !item_draw(words[skipped + i], block.items[i]);
  }
  for (std::uint32_t i = 0; i < block.count; ++i) {
    const std::uint32_t* membership = Lookup::where(job.view, block.users[i], block.items[i]);
    block.where[i] = block.labels[i] != 0 ? block.where[i] : membership;
    __builtin_prefetch(block.where[i]);
  }
}

/// Draws again for the given columns; leaves those whose candidate is refused again in columns and returns how many.
template <typename Lookup>
std::uint32_t draw_again(const draw_job& job, draw_block& block, std::uint32_t attempt, std::uint32_t* columns,
                         std::uint32_t count) {
  std::uint64_t groups[block_points];
  std::uint32_t words[4 * block_points];
  std::int32_t users[block_points];
  std::uint32_t items[block_points];
  std::uint32_t values[block_points];
  std::uint8_t refused[block_points];
  std::uint8_t taken[block_points];
  for (std::uint32_t k = 0; k < count; ++k) groups[k] = (block.first + columns[k]) / 4;
  for (std::uint32_t k = count; k < round_up(count, random_step); ++k) groups[k] = 0;
  draw_words(job, attempt, groups, count, words);
  for (std::uint32_t k = 0; k < count; ++k) {
    users[k] = block.users[columns[k]];
    refused[k] = !job.item_draw(words[4 * k + (block.first + columns[k]) % 4], items[k]);
    values[k] = *Lookup::where(job.view, users[k], items[k]);
  }
  Lookup::find_taken(job.view, {users, items, count}, values, taken);
  std::uint32_t left = 0;
  for (std::uint32_t k = 0; k < count; ++k) {
    const std::uint32_t i = columns[k];
    block.items[i] = items[k];
    columns[left] = i;
    left += refused[k] | taken[k];
  }
  return left;
}

/// Turns candidates into items: positives are read, refused candidates drawn again, the last few drawn by rank.
template <typename Lookup>
void settle(const draw_job& job, draw_block& block) {
  std::uint32_t values[block_points];
  std::uint8_t taken[block_points];
  std::uint32_t pending[block_points];
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < block.count; ++i) values[i] = *block.where[i];
  Lookup::find_taken(job.view, {block.users, block.items, block.count}, values, taken);
  for (std::uint32_t i = 0; i < block.count; ++i) {
    const bool is_positive = block.labels[i] != 0;
    block.items[i] = is_positive ? values[i] : block.items[i];
    pending[count] = i;
    count += static_cast<std::uint32_t>(!is_positive) & (taken[i] | block.refused[i]);
  }
  for (std::uint32_t attempt = 1; attempt < core::max_draw_attempts && count != 0; ++attempt) {
    count = draw_again<Lookup>(job, block, attempt, pending, count);
  }
  for (std::uint32_t k = 0; k < count; ++k) {
    const std::uint32_t i = pending[k];
    block.items[i] = static_cast<std::uint32_t>(
        core::draw_by_rank(job.view.csr.row(user_id{block.users[i]}), job.view.item_count, job.stream,
                           block.first + i, core::philox_source{job.seed}));
  }
}

// The rows of the pairwise layout. Included by point_kernels.inl.

/// Finds the users of rows block by block, writes the rows' users and positives, and draws the negatives: the draws of
/// neighbouring rows have neighbouring indices, so they fill draw blocks whatever K is.
template <typename Word, typename Lookup, typename ItemDraw>
class pair_filler {
 public:
  pair_filler(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
              const ItemDraw& item_draw, std::uint64_t first, const core::pair_pointers& out)
      : job_{view, item_draw, core::pair_stream(key.cycle), plan.seed},
        find_origins_(plan, key, view.csr),
        first_(first),
        negatives_(plan.negatives),
        out_(out) {
    for (draw_block& block : blocks_) {
      block.count = 0;
      for (std::int32_t& user : block.users) user = 0;  // any valid user, for the columns past the count
      for (lane_mask& fixed : block.fixed) fixed = no_lanes();
    }
  }

  /// Makes rows [first + done, first + done + count), count <= block_points.
  void make_rows(std::uint64_t done, std::uint32_t count) {
    std::int32_t users[block_points];
    const std::uint32_t* where[block_points];
    lane_mask is_positive[block_points / lane_count];
    const auto nothing = [] {};
    find_origins_(first_ + done, count, {users, where, is_positive}, nothing);
    for (std::uint32_t i = 0; i < count; ++i) __builtin_prefetch(where[i]);
    draw_negatives(first_ + done, users, count);
    for (std::uint32_t i = 0; i < count; ++i) {
      out_.users[done + i] = users[i];
      write_item(out_.items, out_.item_width, done + i, *where[i]);
      if (out_.valid != nullptr) out_.valid[done + i] = 1;
    }
  }

  void finish() {
    if (before().count != 0) settle_block(before());
    while (!again_.is_empty()) again_.template advance<Lookup>(job_, put());
  }

 private:
  draw_block& before() { return blocks_[1 - turn_]; }

  auto put() const {
    return [this](std::uint64_t draw, std::uint32_t item) {
      write_item(out_.negatives, out_.item_width, draw - first_ * negatives_, item);
    };
  }

  // Alternates two blocks: while one is proposed, the reads that settle the other are in flight.
  void draw_negatives(std::uint64_t row, const std::int32_t* users, std::uint32_t row_count) {
    if (negatives_ == 0) return;
    const std::uint64_t begin = row * negatives_;
    const std::uint64_t end = begin + std::uint64_t{row_count} * negatives_;
    user_repeater repeat(users, 0, negatives_);
    for (std::uint64_t draw = begin; draw != end; turn_ = 1 - turn_) {
      draw_block& block = blocks_[turn_];
      block.first = draw;
      const std::uint64_t room = block_points - draw % 4;  // later blocks begin with a group of four
      block.count = static_cast<std::uint32_t>(end - draw < room ? end - draw : room);
      draw += block.count;
      repeat(block.users, block.count);
      prefetcher(before()).finish();
      propose<Lookup>(job_, block);
      if (before().count != 0) settle_block(before());
    }
  }

  void settle_block(draw_block& block) {
    settle<Lookup>(job_, block, again_);
    write_items(block, block.first - first_ * negatives_, out_.negatives, out_.item_width);
    block.count = 0;
    while (again_.has_batch()) again_.template advance<Lookup>(job_, put());
  }

  draw_job<ItemDraw> job_;
  origin_finder<Word> find_origins_;
  std::uint64_t first_;
  std::uint32_t negatives_;
  core::pair_pointers out_;
  redraws again_;
  draw_block blocks_[2];
  std::uint32_t turn_ = 0;
};

void fill_pairs(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                std::uint64_t first, std::uint64_t count, const core::pair_pointers& out) {
  const auto fill = [&]<typename Word, typename Lookup, typename ItemDraw>(Word, Lookup, const ItemDraw& item_draw) {
    pair_filler<Word, Lookup, ItemDraw> filler(plan, key, view, item_draw, first, out);
    for (std::uint64_t done = 0; done < count;) {
      const std::uint64_t room = block_points - (first + done) % 4;  // later blocks begin with a group of four draws
      const auto rows = static_cast<std::uint32_t>(count - done < room ? count - done : room);
      filler.make_rows(done, rows);
      done += rows;
    }
    filler.finish();
  };
  with_lookup(view.form, [&]<typename Lookup>(Lookup lookup) {
    with_item_draw(plan, [&](const auto& item_draw) {
      plan.point_count < narrow_point_limit ? fill(std::uint32_t{}, lookup, item_draw)
                                            : fill(std::uint64_t{}, lookup, item_draw);
    });
  });
}

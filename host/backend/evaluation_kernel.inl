// The negatives of one evaluation row. Included by point_kernels.inl.

/// Replaces ranks by the items at these ranks outside the row and the held-out item, in place. The binary search takes
/// the same steps for every rank, so that many searches run in parallel without branches.
void items_of_ranks(const core::evaluation_row& row, std::uint32_t* ranks, std::uint32_t count) {
  std::uint32_t below[block_points];
  for (std::uint32_t i = 0; i < count; ++i) {
    ranks[i] += ranks[i] >= row.heldout_rank;
    below[i] = 0;
  }
  for (std::uint32_t length = row.positives.count; length != 0;) {
    const std::uint32_t step = length - length / 2;
    for (std::uint32_t i = 0; i < count; ++i) {
      // items[k] - k absent items lie below items[k].
      const std::uint32_t k = below[i] + step - 1;
      const std::uint32_t absent = static_cast<std::uint32_t>(row.positives.items[k]) - k;
      below[i] += absent <= ranks[i] ? step : 0;
    }
    length -= step;
  }
  for (std::uint32_t i = 0; i < count; ++i) ranks[i] += below[i];
}

void fill_distinct(const core::evaluation_plan& plan, const core::positives_view& view, user_id user,
                   std::int32_t* items) {
  const auto row = core::evaluation_row::make(view, user, core::philox_source{plan.seed}, plan.first_user);
  std::uint32_t ranks[block_points];
  const auto nothing = [] {};
  const std::uint32_t distinct =
      plan.negatives < row.order.size ? plan.negatives : static_cast<std::uint32_t>(row.order.size);
  for (std::uint32_t done = 0; done < distinct;) {
    const std::uint32_t count = distinct - done < block_points ? distinct - done : block_points;
    if (!row.order.is_network()) {
      for (std::uint32_t i = 0; i < count; ++i) ranks[i] = static_cast<std::uint32_t>(row.order(done + i));
    } else {
      permute_range(row.order, done, count, ranks, nothing);
    }
    items_of_ranks(row, ranks, count);
    for (std::uint32_t i = 0; i < count; ++i) items[done + i] = static_cast<std::int32_t>(ranks[i]);
    done += count;
  }
  for (std::uint32_t i = distinct; i < plan.negatives; ++i) items[i] = items[i - distinct];  // evaluation_plan::fewer
}

template <typename Lookup, typename ItemDraw>
void fill_drawn(const core::evaluation_plan& plan, const ItemDraw& item_draw, const core::positives_view& view,
                user_id user, std::int32_t* items) {
  const draw_job job{view, item_draw, core::evaluation_stream().draws, plan.seed};
  const std::uint64_t first = plan.first_element(user) + 1;
  const auto put = [&](std::uint64_t draw, std::uint32_t item) {
    items[draw - first] = static_cast<std::int32_t>(item);
  };
  redraws again;
  draw_block block;
  for (std::uint32_t i = 0; i < block_points; ++i) block.users[i] = index(user);
  for (lane_mask& fixed : block.fixed) fixed = no_lanes();
  for (std::uint32_t done = 0; done < plan.negatives; done += block.count) {
    block.first = first + done;
    const auto room = static_cast<std::uint32_t>(block_points - block.first % 4);
    block.count = plan.negatives - done < room ? plan.negatives - done : room;
    propose<Lookup>(job, block);
    settle<Lookup>(job, block, again);
    for (std::uint32_t i = 0; i < block.count; ++i) items[done + i] = static_cast<std::int32_t>(block.items[i]);
    while (again.has_batch()) again.template advance<Lookup>(job, put);
  }
  while (!again.is_empty()) again.template advance<Lookup>(job, put);
}

void fill_negatives(const core::evaluation_plan& plan, const core::positives_view& view, user_id user,
                    std::int32_t* items) {
  if (!plan.with_replacement && !plan.weights.is_set()) return fill_distinct(plan, view, user, items);
  with_lookup(view.form, [&]<typename Lookup>(Lookup) {
    with_item_draw(plan, [&](const auto& item_draw) { fill_drawn<Lookup>(plan, item_draw, view, user, items); });
  });
}

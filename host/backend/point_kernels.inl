// The kernels' common source. A translation unit includes the lanes of its instruction set, then this, and names
// the result; all of it is local to that unit (see kernels.hpp for why there are several).

#include <cstdint>

#include "kernels.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/draw.hpp"

namespace negpipe {
namespace {

#include "draw_block.inl"

/// Shuffled indices below this are 32-bit words.
constexpr std::uint64_t narrow_point_limit = 1ULL << 31;

/// The images of x, x + 1, ... x + count - 1 < order.size under a network. images has room for a multiple of
/// permute_step values. Neighbours differ by one in their digits, so nothing is divided but x.
template <typename Word>
void permute_range(const core::permutation& order, std::uint64_t x, std::uint32_t count, Word* images) {
  std::uint32_t left[block_points];
  std::uint32_t right[block_points];
  const std::uint32_t padded = round_up(count, permute_step);
  core::digits d = order.split(x);
  for (std::uint32_t i = 0; i < padded;) {
    const std::uint32_t to_wrap = order.right_radix - d.right;
    const std::uint32_t end = to_wrap < padded - i ? i + to_wrap : padded;
    for (std::uint32_t k = i; k < end; ++k) {
      left[k] = d.left;
      right[k] = d.right + (k - i);
    }
    i = end;
    d = {d.left + 1, 0};
  }
  permute_digits(order, left, right, padded);
  const auto size = static_cast<Word>(order.size);
  Word past = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    images[i] = static_cast<Word>(left[i]) * order.right_radix + right[i];
    past |= static_cast<Word>(images[i] >= size);
  }
  if (past == 0) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (images[i] >= size) images[i] = static_cast<Word>(order(images[i]));
  }
}

/// Finds the origin of every point of a block: its user, whether it is positive, and where the positive item lies.
template <typename Word>
class origin_finder {
 public:
  origin_finder(const core::training_plan& plan, const core::cycle_key& key, const core::csr_view& csr)
      : order_(key.order),
        csr_(csr),
        positive_count_(static_cast<Word>(plan.positive_count)),
        epoch_points_(static_cast<Word>(plan.point_count / plan.epochs)),
        has_epochs_(plan.epochs > 1),
        by_positives_(core::divider<Word>::make(positive_count_)),
        by_epoch_(core::divider<Word>::make(epoch_points_)) {}

  void operator()(draw_block& block) const {
    Word positive[block_points];
    permute_range(order_, block.first, block.count, positive);
    const core::divider<Word> by_positives = by_positives_;  // copies: stores of bytes might change anything else
    const core::divider<Word> by_epoch = by_epoch_;
    const Word positive_count = positive_count_;
    const Word epoch_points = epoch_points_;
    for (std::uint32_t i = 0; has_epochs_ && i < block.count; ++i) {
      positive[i] -= by_epoch(positive[i]) * epoch_points;
    }
    for (std::uint32_t i = 0; i < block.count; ++i) {
      block.labels[i] = positive[i] < positive_count;
      positive[i] -= by_positives(positive[i]) * positive_count;
    }
    for (std::uint32_t i = 0; i < block.count; ++i) {
      block.users[i] = user_of(positive[i]);
      block.where[i] = reinterpret_cast<const std::uint32_t*>(csr_.positive_items + positive[i]);
    }
  }

 private:
  // As csr_view::user_of, with no branch that is hard to predict: most often the two notes around a positive name the
  // same user or neighbours.
  std::int32_t user_of(Word positive) const {
    const std::int32_t low = csr_.user_samples[positive >> core::csr_view::sample_shift];
    const std::int32_t high = csr_.user_samples[(positive >> core::csr_view::sample_shift) + 1];
    if (high - low > 1) return index(csr_.user_of(positive));
    return low + static_cast<std::int32_t>(static_cast<std::uint64_t>(csr_.user_offsets[low + 1]) <= positive);
  }

  core::permutation order_;
  core::csr_view csr_;
  Word positive_count_;
  Word epoch_points_;  // P * (1 + K)
  bool has_epochs_;    // several a cycle
  core::divider<Word> by_positives_;
  core::divider<Word> by_epoch_;
};

void write_points(const draw_block& block, std::uint64_t place, const core::training_pointers& out) {
  if (out.item_width == item_type::uint16) {
    auto* items = static_cast<std::uint16_t*>(out.items) + place;
    for (std::uint32_t i = 0; i < block.count; ++i) items[i] = static_cast<std::uint16_t>(block.items[i]);
  } else {
    auto* items = static_cast<std::int32_t*>(out.items) + place;
    for (std::uint32_t i = 0; i < block.count; ++i) items[i] = static_cast<std::int32_t>(block.items[i]);
  }
  for (std::uint32_t i = 0; i < block.count; ++i) out.users[place + i] = block.users[i];
  for (std::uint32_t i = 0; i < block.count; ++i) out.labels[place + i] = block.labels[i];
  if (out.valid == nullptr) return;
  for (std::uint32_t i = 0; i < block.count; ++i) out.valid[place + i] = 1;
}

/// While the reads that settle one block are under way, the next one is computed: two blocks take turns.
template <typename Word, typename Lookup>
void fill_all(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
              std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
  const draw_job job{view, plan.item_draw, {core::tag::train_draw, core::tag::train_fallback, key.cycle}, plan.seed};
  const origin_finder<Word> find_origins(plan, key, view.csr);
  draw_block blocks[2];
  std::uint32_t turn = 0;
  bool waiting = false;
  std::uint64_t place = 0;
  for (std::uint64_t done = 0; done < count; turn = 1 - turn) {
    draw_block& block = blocks[turn];
    block.first = first + done;
    const std::uint64_t room = block_points - block.first % 4;  // later blocks begin with a group of four
    block.count = static_cast<std::uint32_t>(count - done < room ? count - done : room);
    done += block.count;
    find_origins(block);
    propose<Lookup>(job, block);
    if (waiting) {
      settle<Lookup>(job, blocks[1 - turn]);
      write_points(blocks[1 - turn], place, out);
      place += blocks[1 - turn].count;
    }
    waiting = true;
  }
  if (waiting) {
    settle<Lookup>(job, blocks[1 - turn]);
    write_points(blocks[1 - turn], place, out);
  }
}

void fill_points(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                 std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
  const bool narrow = plan.point_count < narrow_point_limit;
  with_lookup(view.form, [&]<typename Lookup>(Lookup) {
    const auto fill = narrow ? fill_all<std::uint32_t, Lookup> : fill_all<std::uint64_t, Lookup>;
    fill(plan, key, view, first, count, out);
  });
}

#include "evaluation_kernel.inl"

}  // namespace
}  // namespace negpipe

// The kernels' common source. A translation unit includes the lanes of its instruction set, then this file, and defines
// its kernel_set. Everything is local to that unit (kernels.hpp says why there are several).

#include <cstdint>

#include "kernels.hpp"
#include "negpipe/core/divide.hpp"
#include "negpipe/core/draw.hpp"
#include "negpipe/core/free_draw.hpp"
#include "negpipe/core/weights.hpp"

namespace negpipe {
namespace {

#include "draw_block.inl"

/// Plans with fewer points use 32-bit words for shuffled indices.
constexpr std::uint64_t narrow_point_limit = 1ULL << 31;

/// Calls work with the item draw of a training or evaluation plan.
template <typename Plan, typename Work>
void with_item_draw(const Plan& plan, const Work& work) {
  if (plan.weights.is_set()) {
    work(plan.weights);
  } else {
    work(plan.item_draw);
  }
}

/// Computes the images of x, x + 1, ... x + count - 1 < order.size under a network. Neighbours differ by one in their
/// digits, so only x is divided.
/// - images: room for a multiple of permute_step values.
/// - meanwhile(): called between rounds.
template <typename Word, typename Meanwhile>
void permute_range(const core::permutation& order, std::uint64_t x, std::uint32_t count, Word* images,
                   Meanwhile& meanwhile) {
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
  permute_digits(order, left, right, padded, meanwhile);
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

/// Output of the origins of neighbouring positions, with room for a multiple of lane_count. Columns past the last
/// position hold valid values too.
struct origin_columns {
  std::int32_t* users;
  const std::uint32_t** where;  // address of the positive item
  lane_mask* is_positive;       // the point is the positive, not one of its negatives
};

/// Finds the origins of positions [first, first + count): users, whether they are positive, and their positives.
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

  template <typename Meanwhile>
  void operator()(std::uint64_t first, std::uint32_t count, const origin_columns& out, Meanwhile& meanwhile) const {
    Word images[block_points + lane_count];
    permute_range(order_, first, count, images, meanwhile);
    const std::uint32_t padded = round_up(count, lane_count);
    for (std::uint32_t i = count; i < padded; ++i) images[i] = 0;  // any valid index
    for (std::uint32_t i = 0; has_epochs_ && i < padded; ++i) images[i] -= by_epoch_(images[i]) * epoch_points_;
    find(images, padded, out);
  }

 private:
  void find(const std::uint32_t* images, std::uint32_t count, const origin_columns& out) const {
    const lanes positive_count = all32(positive_count_);
    const lanes magic = all32(by_positives_.magic);
    for (std::uint32_t i = 0; i < count; i += lane_count) {
      const lanes image = load(images + i);
      out.is_positive[i / lane_count] = is_below(image, positive_count);
      const lanes slot = shift_down(product_high(image, magic), by_positives_.shift);
      const lanes positive = subtract(image, product_low(slot, positive_count));
      store(out.users + i, users_of(positive));
      store_addresses(out.where + i, word_addresses(csr_.positive_items, positive));
    }
  }

  void find(const std::uint64_t* images, std::uint32_t count, const origin_columns& out) const {
    std::uint32_t labels[block_points];
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t positive = images[i] - by_positives_(images[i]) * positive_count_;
      labels[i] = images[i] < positive_count_;
      out.users[i] = index(csr_.user_of(positive));
      out.where[i] = reinterpret_cast<const std::uint32_t*>(csr_.positive_items + positive);
    }
    for (std::uint32_t i = 0; i < count; i += lane_count) out.is_positive[i / lane_count] = is_odd(load(labels + i));
  }

  // csr_view::user_of for positives below 2^31. The two samples around a positive mostly name the same user or
  // neighbouring users, and then one more read decides.
  lanes users_of(lanes positive) const {
    const word_pairs samples = gather_pairs(csr_.user_samples, shift_down<core::csr_view::sample_shift>(positive));
    const lanes next_begin = gather_lower_halves(csr_.user_offsets + 1, samples.first);
    const lanes user = select(is_below(positive, next_begin), samples.first, add(samples.first, all32(1)));
    const lane_mask is_same = is_below(samples.second, add(samples.first, all32(1)));
    const lane_mask is_far = is_below(add(samples.first, all32(1)), samples.second);
    const lanes near = select(is_same, samples.first, user);
    return any(is_far) ? searched(positive, near, is_far) : near;
  }

  lanes searched(lanes positive, lanes near, lane_mask is_far) const {
    std::uint32_t positives[lane_count];
    std::uint32_t users[lane_count];
    std::uint32_t far[2 * lane_count];
    store(positives, positive);
    store(users, near);
    const std::uint32_t count = compress(far, lane_numbers(), is_far);
    for (std::uint32_t k = 0; k < count; ++k) {
      users[far[k]] = static_cast<std::uint32_t>(index(csr_.user_of(positives[far[k]])));
    }
    return load(users);
  }

  core::permutation order_;
  core::csr_view csr_;
  Word positive_count_;
  Word epoch_points_;  // P * (1 + K)
  bool has_epochs_;    // more than one per cycle
  core::divider<Word> by_positives_;
  core::divider<Word> by_epoch_;
};

void write_points(const draw_block& block, std::uint64_t offset, const core::training_pointers& out) {
  const std::uint32_t whole = block.count / lane_count * lane_count;
  std::int32_t* const users = out.users + offset;
  std::int8_t* const labels = out.labels + offset;
  for (std::uint32_t i = 0; i < whole; i += lane_count) {
    store(users + i, load(block.users + i));
    store_flags(labels + i, block.fixed[i / lane_count]);
  }
  write_items(block, offset, out.items, out.item_width);
  if (whole != block.count) {
    std::int8_t flags[lane_count];
    store_flags(flags, block.fixed[whole / lane_count]);
    for (std::uint32_t i = whole; i < block.count; ++i) users[i] = block.users[i];
    for (std::uint32_t i = whole; i < block.count; ++i) labels[i] = flags[i - whole];
  }
  if (out.valid == nullptr) return;
  for (std::uint32_t i = 0; i < block.count; ++i) out.valid[offset + i] = 1;
}

/// Alternates two blocks: while one is permuted, the reads that settle the other are in flight.
template <typename Word, typename Lookup, typename ItemDraw>
void fill_all(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
              const ItemDraw& item_draw, std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
  const draw_job job{view, item_draw, {core::tag::train_draw, core::tag::train_fallback, key.cycle}, plan.seed};
  const origin_finder<Word> find_origins(plan, key, view.csr);
  const auto put = [&](std::uint64_t draw, std::uint32_t item) {
    write_item(out.items, out.item_width, draw - first, item);
  };
  redraws again;
  draw_block blocks[2];
  blocks[1].count = 0;
  const auto finish = [&](draw_block& block) {
    settle<Lookup>(job, block, again);
    write_points(block, block.first - first, out);
    while (again.has_batch()) again.template advance<Lookup>(job, put);
  };
  std::uint32_t turn = 0;
  for (std::uint64_t done = 0; done < count; turn = 1 - turn) {
    draw_block& block = blocks[turn];
    draw_block& before = blocks[1 - turn];
    block.first = first + done;
    const std::uint64_t room = block_points - block.first % 4;  // later blocks begin with a group of four
    block.count = static_cast<std::uint32_t>(count - done < room ? count - done : room);
    done += block.count;
    prefetcher fetch(before);
    find_origins(block.first, block.count, {block.users, block.where, block.fixed}, fetch);
    fetch.finish();
    propose<Lookup>(job, block);
    if (before.count != 0) finish(before);
  }
  if (count != 0) finish(blocks[1 - turn]);
  while (!again.is_empty()) again.template advance<Lookup>(job, put);
}

void fill_points(const core::training_plan& plan, const core::cycle_key& key, const core::positives_view& view,
                 std::uint64_t first, std::uint64_t count, const core::training_pointers& out) {
  const bool narrow = plan.point_count < narrow_point_limit;
  with_lookup(view.form, [&]<typename Lookup>(Lookup) {
    with_item_draw(plan, [&]<typename ItemDraw>(const ItemDraw& item_draw) {
      const auto fill = narrow ? fill_all<std::uint32_t, Lookup, ItemDraw> : fill_all<std::uint64_t, Lookup, ItemDraw>;
      fill(plan, key, view, item_draw, first, count, out);
    });
  });
}

#include "evaluation_kernel.inl"
#include "free_kernel.inl"
#include "pair_kernel.inl"

}  // namespace
}  // namespace negpipe

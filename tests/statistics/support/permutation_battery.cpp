#include "statistics/support/permutation_battery.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "negpipe/core/philox.hpp"

namespace negpipe::test {

namespace {

/// Histogram of numbers from [0, range), with at most max_bins bins of nearly equal width.
class histogram {
 public:
  histogram(std::uint64_t range, std::uint64_t max_bins) : range_(range), counts_(std::min(range, max_bins), 0) {}

  void add(std::uint64_t value) { ++counts_[bin(value)]; }
  std::size_t bin(std::uint64_t value) const {
    return static_cast<std::size_t>(static_cast<double>(value) * static_cast<double>(counts_.size()) /
                                    static_cast<double>(range_));
  }
  std::size_t size() const { return counts_.size(); }

  /// Returns the number of values per bin: exact where bins are narrow, otherwise equal up to rounding.
  std::vector<double> widths() const {
    const auto bins = static_cast<double>(counts_.size());
    if (range_ > 20'000'000) return std::vector<double>(counts_.size(), static_cast<double>(range_) / bins);
    std::vector<double> width(counts_.size(), 0);
    for (std::uint64_t value = 0; value < range_; ++value) ++width[bin(value)];
    return width;
  }

  /// Tests against shares in proportion to the weights.
  p_value fits(std::string name, std::vector<double> weights) const {
    const auto total = static_cast<double>(std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0}));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& weight : weights) weight *= total / sum;
    return chi_squared_test(std::move(name), counts_, weights);
  }
  p_value uniform(std::string name) const { return fits(std::move(name), widths()); }

 private:
  std::uint64_t range_;
  std::vector<std::uint64_t> counts_;
};

/// The near-square grid of the core's network: value = left * columns + right.
struct radix_grid {
  explicit radix_grid(std::uint64_t n) : size(n), rows(core::isqrt(n) & ~1ULL), columns(core::ceil_div(n, rows)) {}

  std::uint64_t size;
  std::uint64_t rows;
  std::uint64_t columns;

  std::uint64_t left(std::uint64_t x) const { return x / columns; }
  std::uint64_t right(std::uint64_t x) const { return x % columns; }
  /// Values in a column, and in a row.
  std::uint64_t height(std::uint64_t column) const { return (size - column + columns - 1) / columns; }
  std::uint64_t width(std::uint64_t row) const { return std::min(columns, size - row * columns); }

  double pairs() const { return static_cast<double>(size) * (static_cast<double>(size) - 1); }

  /// Ordered pairs of values in one column whose rows differ by a given distance modulo the number of rows. Columns
  /// are full, or lack the last row.
  double column_pairs() const {
    const auto full = static_cast<double>(size - (rows - 1) * columns);
    const auto r = static_cast<double>(rows);
    return full * r + (static_cast<double>(columns) - full) * (r - 2);
  }
  /// Ordered pairs of values in one row whose columns differ by a given distance modulo the number of columns.
  double row_pairs(std::uint64_t distance) const {
    const std::uint64_t last = width(rows - 1);
    const std::uint64_t forward = last > distance ? last - distance : 0;
    const std::uint64_t around = last > columns - distance ? last - (columns - distance) : 0;
    return static_cast<double>((rows - 1) * columns + forward + around);
  }
};

/// Returns the number of pairs of equal values. Sorts the vector.
std::uint64_t equal_pairs(std::vector<std::uint64_t>& values) {
  std::sort(values.begin(), values.end());
  std::uint64_t pairs = 0;
  std::uint64_t run = 0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    run = values[i] == values[i - 1] ? run + 1 : 0;
    pairs += run;
  }
  return pairs;
}

/// Counts pairs of values in one column whose images also share a column and have the same distance, modulo the number
/// of rows.
template <typename Image>
std::uint64_t column_differentials(const radix_grid& grid, std::uint64_t column, const Image& image,
                                   std::vector<std::uint64_t>& scratch) {
  scratch.clear();
  for (std::uint64_t row = 0; row < grid.height(column); ++row) {
    const std::uint64_t y = image(row * grid.columns + column);
    scratch.push_back(grid.right(y) * grid.rows + (grid.left(y) + grid.rows - row) % grid.rows);
  }
  return equal_pairs(scratch);
}

template <typename Image>
std::uint64_t row_differentials(const radix_grid& grid, std::uint64_t row, const Image& image,
                                std::vector<std::uint64_t>& scratch) {
  scratch.clear();
  for (std::uint64_t column = 0; column < grid.width(row); ++column) {
    const std::uint64_t y = image(row * grid.columns + column);
    scratch.push_back(grid.left(y) * grid.columns + (grid.right(y) + grid.columns - column) % grid.columns);
  }
  return equal_pairs(scratch);
}

std::uint64_t count_cycles(std::span<const std::uint32_t> image) {
  std::vector<bool> seen(image.size(), false);
  std::uint64_t cycles = 0;
  for (std::uint32_t start = 0; start < image.size(); ++start) {
    if (seen[start]) continue;
    ++cycles;
    for (std::uint32_t x = start; !seen[x]; x = image[x]) seen[x] = true;
  }
  return cycles;
}

constexpr std::uint64_t difference_bins = 512;
constexpr std::uint64_t position_bins = 48;
constexpr std::uint64_t neighbour_bins = 16;

/// Counts of the battery, summed over the keys.
class whole_counts {
 public:
  explicit whole_counts(std::uint32_t size)
      : grid_(size),
        n_(size),
        positions_(size, position_bins),
        coarse_(size, neighbour_bins),
        table_(positions_.size() * positions_.size(), 0),
        neighbours_(neighbour_bins * neighbour_bins, 0),
        distances_{1, grid_.columns, grid_.rows, grid_.columns + 1},
        differences_(4, histogram(size - 1, difference_bins)),
        second_(size, difference_bins) {}

  void add(std::span<const std::uint32_t> p) {
    ++keys_;
    add_positions(p);
    add_differences(p);
    add_descents(p);
    const std::uint64_t cycles = count_cycles(p);
    cycles_ += static_cast<double>(cycles);
    odd_ += (n_ - cycles) % 2;
    add_differentials(p);
  }

  p_values judge() const {
    const auto keys = static_cast<double>(keys_);
    const auto n = static_cast<double>(n_);
    p_values all = {permutation_table_test("position x element", table_, positions_.widths(), keys_)};
    for (std::size_t d = 0; d < distances_.size(); ++d) {
      all.push_back(differences_[d].uniform("difference at distance " + std::to_string(distances_[d])));
    }
    all.push_back(second_differences());
    if (n_ >= 1000) all.push_back(uniform_neighbours());
    all.push_back(poisson_test("successions", successions_, keys * (n - 1) / n));
    all.push_back(poisson_test("fixed points", fixed_, keys));
    const double descent_variance = (n + 1) / 12;
    all.push_back(normal_test("descents", descents_ / std::sqrt(keys * descent_variance)));
    const double excess = descent_squares_ / (keys * descent_variance) - 1;
    all.push_back(normal_test("variance of descents", excess / std::sqrt(2 / keys)));
    double harmonic = 0;
    double squares = 0;
    for (double k = 1; k <= n; ++k) {
      harmonic += 1 / k;
      squares += 1 / (k * k);
    }
    all.push_back(normal_test("cycles", (cycles_ - keys * harmonic) / std::sqrt(keys * (harmonic - squares))));
    all.push_back(normal_test("parity", (static_cast<double>(odd_) - keys / 2) / std::sqrt(keys / 4)));
    append(all, judge_grid());
    return all;
  }

 private:
  void add_positions(std::span<const std::uint32_t> p) {
    for (std::uint32_t i = 0; i < n_; ++i) {
      ++table_[positions_.bin(i) * positions_.size() + positions_.bin(p[i])];
      fixed_ += p[i] == i;
    }
  }

  void add_differences(std::span<const std::uint32_t> p) {
    for (std::size_t d = 0; d < distances_.size(); ++d) {
      for (std::uint64_t i = 0; i + distances_[d] < n_; ++i) {
        const std::uint64_t from = p[i];
        const std::uint64_t to = p[i + distances_[d]];
        differences_[d].add((to >= from ? to - from : to + n_ - from) - 1);
      }
    }
    for (std::uint32_t i = 0; i + 2 < n_; ++i) {
      second_.add((std::uint64_t{p[i]} + p[i + 2] + 2 * n_ - 2 * std::uint64_t{p[i + 1]}) % n_);
    }
    for (std::uint32_t i = 0; i + 1 < n_; ++i) {
      ++neighbours_[coarse_.bin(p[i]) * neighbour_bins + coarse_.bin(p[i + 1])];
      successions_ += p[i + 1] == p[i] + 1;
    }
    same_row_ += count_if_grid(p, 1, [&](std::uint64_t a, std::uint64_t b) { return grid_.left(a) == grid_.left(b); });
    same_column_ += count_if_grid(p, grid_.columns,
                                  [&](std::uint64_t a, std::uint64_t b) { return grid_.right(a) == grid_.right(b); });
  }

  template <typename Same>
  std::uint64_t count_if_grid(std::span<const std::uint32_t> p, std::uint64_t distance, const Same& same) const {
    std::uint64_t count = 0;
    for (std::uint64_t i = 0; i + distance < n_; ++i) count += same(p[i], p[i + distance]);
    return count;
  }

  void add_descents(std::span<const std::uint32_t> p) {
    double descents = -static_cast<double>(n_ - 1) / 2;
    for (std::uint32_t i = 0; i + 1 < n_; ++i) descents += p[i] > p[i + 1];
    descents_ += descents;
    descent_squares_ += descents * descents;
  }

  void add_differentials(std::span<const std::uint32_t> p) {
    const auto image = [&](std::uint64_t x) { return std::uint64_t{p[x]}; };
    for (std::uint64_t c = 0; c < grid_.columns; ++c) column_hits_ += column_differentials(grid_, c, image, scratch_);
    for (std::uint64_t r = 0; r < grid_.rows; ++r) row_hits_ += row_differentials(grid_, r, image, scratch_);
  }

  // a - 2b + c = (a - b) + (c - b) = s + t, where s and t are distinct and not 0. The number of such pairs with sum v
  // depends on the number of s with 2s = v.
  p_value second_differences() const {
    std::vector<double> pairs(second_.size(), 0);
    for (std::uint64_t v = 0; v < n_; ++v) {
      const std::uint64_t halves = n_ % 2 == 1 ? 1 : v % 2 == 0 ? 2 : 0;
      pairs[second_.bin(v)] += static_cast<double>(v == 0 ? n_ - halves : n_ - 2 - halves);
    }
    return second_.fits("second difference", std::move(pairs));
  }

  p_value uniform_neighbours() const {
    const auto width = coarse_.widths();
    std::vector<double> expected;
    const double pairs = static_cast<double>(keys_) * static_cast<double>(n_ - 1) / grid_.pairs();
    for (std::size_t a = 0; a < width.size(); ++a) {
      for (std::size_t b = 0; b < width.size(); ++b)
        expected.push_back(pairs * width[a] * (width[b] - (a == b ? 1 : 0)));
    }
    return chi_squared_test("neighbours in 16 x 16 bins", neighbours_, expected);
  }

  p_values judge_grid() const {
    const auto keys = static_cast<double>(keys_);
    double row_chance = 0;
    double column_chance = 0;
    double column_hits = 0;
    double row_hits = 0;
    for (std::uint64_t r = 0; r < grid_.rows; ++r) {
      const auto w = static_cast<double>(grid_.width(r));
      row_chance += w * (w - 1) / grid_.pairs();
    }
    for (std::uint64_t c = 0; c < grid_.columns; ++c) {
      const auto h = static_cast<double>(grid_.height(c));
      column_chance += h * (h - 1) / grid_.pairs();
    }
    for (std::uint64_t d = 1; d < grid_.rows; ++d) column_hits += std::pow(grid_.column_pairs(), 2) / grid_.pairs();
    for (std::uint64_t d = 1; d < grid_.columns; ++d) row_hits += std::pow(grid_.row_pairs(d), 2) / grid_.pairs();
    const auto distant = [&](std::uint64_t distance) { return keys * static_cast<double>(n_ - distance); };
    return {poisson_test("neighbours in one row", same_row_, distant(1) * row_chance),
            poisson_test("a row apart, in one column", same_column_, distant(grid_.columns) * column_chance),
            poisson_test("column differentials", column_hits_, keys * column_hits / 2),
            poisson_test("row differentials", row_hits_, keys * row_hits / 2)};
  }

  radix_grid grid_;
  std::uint64_t n_;
  std::uint64_t keys_ = 0;
  histogram positions_;
  histogram coarse_;
  std::vector<std::uint64_t> table_;
  std::vector<std::uint64_t> neighbours_;
  std::vector<std::uint64_t> distances_;
  std::vector<histogram> differences_;
  histogram second_;
  std::uint64_t successions_ = 0;
  std::uint64_t fixed_ = 0;
  std::uint64_t odd_ = 0;
  std::uint64_t same_row_ = 0;
  std::uint64_t same_column_ = 0;
  std::uint64_t column_hits_ = 0;
  std::uint64_t row_hits_ = 0;
  double descents_ = 0;
  double descent_squares_ = 0;
  double cycles_ = 0;
  std::vector<std::uint64_t> scratch_;
};

}  // namespace

permutation_family textbook_family() {
  return [](std::uint64_t key, std::span<std::uint32_t> image) {
    std::mt19937_64 generator(key);
    std::iota(image.begin(), image.end(), 0U);
    std::shuffle(image.begin(), image.end(), generator);
  };
}

core::permutation core_permutation(std::uint64_t size, std::uint64_t seed, std::uint32_t cycle, int rounds) {
  auto p = core::permutation::make(size, core::philox_source{seed}, core::tag::round_keys, cycle, 0);
  if (rounds != 0) p.rounds = std::min(p.rounds, rounds);
  return p;
}

permutation_family core_family(int rounds, std::uint64_t seed) {
  return [=](std::uint64_t key, std::span<std::uint32_t> image) {
    const auto p = core_permutation(image.size(), seed, static_cast<std::uint32_t>(key), rounds);
    for (std::size_t x = 0; x < image.size(); ++x) image[x] = static_cast<std::uint32_t>(p(x));
  };
}

permutation_family relation(permutation_family a, permutation_family b) {
  return [=](std::uint64_t key, std::span<std::uint32_t> image) {
    std::vector<std::uint32_t> first(image.size());
    std::vector<std::uint32_t> second(image.size());
    a(key, first);
    b(key, second);
    // image = first^-1 after second
    std::vector<std::uint32_t> inverse(image.size());
    for (std::uint32_t x = 0; x < image.size(); ++x) inverse[first[x]] = x;
    for (std::size_t x = 0; x < image.size(); ++x) image[x] = inverse[second[x]];
  };
}

p_values permutation_battery(std::uint32_t size, std::uint64_t keys, const permutation_family& family) {
  whole_counts counts(size);
  std::vector<std::uint32_t> image(size);
  for (std::uint64_t key = 0; key < keys; ++key) {
    family(key, image);
    counts.add(image);
  }
  return counts.judge();
}

p_values sampled_battery(std::uint64_t size, std::uint64_t points, int rounds, std::uint64_t seed) {
  const radix_grid grid(size);
  std::mt19937_64 generator(size);
  const std::uint64_t distances[] = {1, grid.columns, grid.rows, grid.columns + 1};
  histogram positions(size, difference_bins);
  std::vector<histogram> differences(std::size(distances), histogram(size - 1, difference_bins));
  constexpr std::uint64_t keys = 64;
  for (std::uint64_t i = 0; i < points / 2; i += 5 * keys) {
    const auto p = core_permutation(size, seed, static_cast<std::uint32_t>(i), rounds);
    for (std::uint64_t k = 0; k < keys; ++k) {
      const std::uint64_t x = generator() % (size - grid.columns - 1);
      const std::uint64_t y = p(x);
      positions.add(y);
      for (std::size_t d = 0; d < std::size(distances); ++d) {
        const std::uint64_t other = p(x + distances[d]);
        differences[d].add((other >= y ? other - y : other + (size - y)) - 1);
      }
    }
  }
  const std::uint64_t columns = std::max<std::uint64_t>(1, points / 2 / grid.rows);
  std::uint64_t hits = 0;
  std::vector<std::uint64_t> scratch;
  for (std::uint64_t i = 0; i < columns; ++i) {
    const auto p = core_permutation(size, seed, static_cast<std::uint32_t>(i / 8), rounds);
    hits += column_differentials(grid, generator() % (size - (grid.rows - 1) * grid.columns), p, scratch);
  }
  // Sampled columns are full: each of their rows * (rows - 1) ordered pairs matches with probability column_pairs /
  // pairs.
  const auto rows = static_cast<double>(grid.rows);
  const double expected = static_cast<double>(columns) * rows * (rows - 1) / 2 * grid.column_pairs() / grid.pairs();
  p_values all = {positions.uniform("positions"), poisson_test("column differentials", hits, expected)};
  for (std::size_t d = 0; d < std::size(distances); ++d) {
    all.push_back(differences[d].uniform("difference at distance " + std::to_string(distances[d])));
  }
  return all;
}

}  // namespace negpipe::test

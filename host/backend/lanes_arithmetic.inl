// Arithmetic shared by AVX2 and AVX-512, in terms of the operations of one vector width. Included at the end of
// lanes_avx2.hpp and lanes_avx512.hpp. The compiler's own vector code for these loops uses many widening
// multiplications and reaches a fifth of their speed.
//
// The multiplier reads the even 32-bit lanes only; odd lanes are shifted down first.

constexpr std::uint32_t wide_count = lane_count / 2;  // 64-bit lanes of a vector

/// Returns both halves of the 64-bit products of words.
struct word_products {
  lanes high;
  lanes low;
};
inline word_products multiply(lanes a, lanes b) {
  const lanes even = product(a, b);
  const lanes odd = product(high(a), high(b));
  return {join(high(even), odd), join(even, shift_up64<32>(odd))};
}
inline lanes product_high(lanes a, lanes b) { return join(high(product(a, b)), product(high(a), high(b))); }

/// Returns the addresses of 32-bit words: base + a * stride + b, where a and b are 32-bit words.
inline wide_lanes word_addresses(const void* base, lanes a, std::uint32_t stride, lanes b) {
  const wide_lanes rows = widen(a);
  const wide_lanes columns = widen(b);
  const lanes steps = all64(stride);
  const lanes origin = all64(reinterpret_cast<std::uintptr_t>(base));
  return {add64(shift_up64<2>(add64(product(rows.front, steps), columns.front)), origin),
          add64(shift_up64<2>(add64(product(rows.back, steps), columns.back)), origin)};
}
inline wide_lanes word_addresses(const void* base, lanes index) {
  const wide_lanes at = widen(index);
  const lanes origin = all64(reinterpret_cast<std::uintptr_t>(base));
  return {add64(shift_up64<2>(at.front), origin), add64(shift_up64<2>(at.back), origin)};
}
inline wide_lanes load_addresses(const std::uint32_t* const* from) { return {load(from), load(from + wide_count)}; }
inline void store_addresses(const std::uint32_t** to, wide_lanes value) {
  store(to, value.front);
  store(to + wide_count, value.back);
}

// core::permutation::round_function.
inline lanes round_function(lanes digit, lanes key, lanes radix) {
  const lanes first = all32(core::philox_multiplier0);
  const lanes second = all32(core::philox_multiplier1);
  const lanes mixed = bits_xor(digit, key);
  const lanes even = product(mixed, first);
  const lanes odd = product(high(mixed), first);
  const lanes even_scaled = product(product(bits_xor(even, high(even)), second), radix);
  const lanes odd_scaled = product(product(bits_xor(odd, high(odd)), second), radix);
  return join(high(even_scaled), odd_scaled);
}

// (a + b) mod radix for a, b < radix < 2^31: the smaller of sum and sum - radix, which wraps if negative.
inline lanes add_mod(lanes a, lanes b, lanes radix) {
  const lanes sum = add(a, b);
  return lesser(sum, subtract(sum, radix));
}

/// Replaces each pair of digits by its image under one pass of the network. Calls meanwhile() between rounds.
template <typename Meanwhile>
void permute_digits(const core::permutation& order, std::uint32_t* left, std::uint32_t* right, std::uint32_t count,
                    Meanwhile& meanwhile) {
  constexpr std::uint32_t chains = permute_step / lane_count;  // independent, to hide the multiplications' latency
  const lanes left_radix = all32(order.left_radix);
  const lanes right_radix = all32(order.right_radix);
  for (std::uint32_t i = 0; i < count; i += permute_step) {
    lanes a[chains];
    lanes b[chains];
    for (std::uint32_t k = 0; k < chains; ++k) a[k] = load(left + i + lane_count * k);
    for (std::uint32_t k = 0; k < chains; ++k) b[k] = load(right + i + lane_count * k);
    for (int round = 0; round < order.rounds; round += 2) {
      meanwhile();
      const lanes key0 = all32(order.word[round]);
      const lanes key1 = all32(order.word[round + 1]);
      for (std::uint32_t k = 0; k < chains; ++k) {
        a[k] = add_mod(a[k], round_function(b[k], key0, left_radix), left_radix);
      }
      for (std::uint32_t k = 0; k < chains; ++k) {
        b[k] = add_mod(b[k], round_function(a[k], key1, right_radix), right_radix);
      }
    }
    for (std::uint32_t k = 0; k < chains; ++k) store(left + i + lane_count * k, a[k]);
    for (std::uint32_t k = 0; k < chains; ++k) store(right + i + lane_count * k, b[k]);
  }
}

/// Sets words[4 * i .. 4 * i + 4) to the block with counter words (word0, word1[i]) and the 64-bit index indices[i].
/// Every counter word occupies a 64-bit lane; the multiplier ignores the upper half, which may hold anything.
void random_words(std::uint64_t seed, std::uint32_t word0, const std::uint32_t* word1, const std::uint64_t* indices,
                  std::uint32_t count, std::uint32_t* words) {
  constexpr std::uint32_t chains = random_step / wide_count;
  const lanes multiplier0 = all64(core::philox_multiplier0);
  const lanes multiplier1 = all64(core::philox_multiplier1);
  for (std::uint32_t i = 0; i < count; i += random_step) {
    lanes c0[chains];
    lanes c1[chains];
    lanes c2[chains];
    lanes c3[chains];
    for (std::uint32_t k = 0; k < chains; ++k) {
      c0[k] = all64(word0);
      c1[k] = load_widened(word1 + i + wide_count * k);
      c2[k] = load(indices + i + wide_count * k);
      c3[k] = high(c2[k]);
    }
    auto key0 = static_cast<std::uint32_t>(seed);
    auto key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < core::philox_rounds; ++round) {
      for (std::uint32_t k = 0; k < chains; ++k) {
        const lanes product0 = product(c0[k], multiplier0);
        const lanes product1 = product(c2[k], multiplier1);
        c0[k] = xor3(high(product1), c1[k], all64(key0));
        c1[k] = product1;
        c2[k] = xor3(high(product0), c3[k], all64(key1));
        c3[k] = product0;
      }
      key0 += core::philox_key_step0;
      key1 += core::philox_key_step1;
    }
    for (std::uint32_t k = 0; k < chains; ++k) {
      const lanes front = join(c0[k], shift_up64<32>(c1[k]));
      const lanes back = join(c2[k], shift_up64<32>(c3[k]));
      store_alternating(words + 4 * (i + wide_count * k), front, back);
    }
  }
}

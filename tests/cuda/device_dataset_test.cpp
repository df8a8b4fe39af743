// Structures on the device equal those of the host, built from rows and from columns in any order.
#include "device_dataset.hpp"

#include <algorithm>
#include <random>

#include "device.hpp"
#include "negpipe/core/bloom_filter.hpp"
#include "rows_from_interactions.hpp"
#include "support/datasets.hpp"

namespace negpipe::test {
namespace {

using cuda::membership_form;

class device_dataset : public device_test {
 protected:
  template <typename Layout>
  void expect_packed(const cuda::device_view& view, const core::positives_view& host) {
    const auto packed = download(view.packed, Layout::word_count(view.positive_count));
    for (std::uint64_t w = 0; w < packed.size(); ++w) {
      const cuda::packed_word wanted = cuda::pack_positives<Layout>(host.csr, view.positive_count, w);
      ASSERT_TRUE(std::ranges::equal(packed[w].part, wanted.part)) << "packed word " << w;
    }
  }

  void expect_equal(const cuda::device_dataset& made, const positives_index& index, membership_form form) {
    const core::positives_view host = index.view();
    const cuda::device_view view = made.view();
    const auto users = static_cast<std::size_t>(host.user_count);
    const std::uint64_t positives = index.source().positive_count();
    const auto as_vector = [](const auto* values, std::size_t count) { return std::vector(values, values + count); };
    ASSERT_EQ(view.positive_count, positives);
    ASSERT_EQ(view.form, form);
    EXPECT_EQ(download(view.csr.user_offsets, users + 1), as_vector(host.csr.user_offsets, users + 1));
    EXPECT_EQ(download(view.csr.positive_items, positives), as_vector(host.csr.positive_items, positives));
    EXPECT_EQ(download(view.heldout, users), as_vector(host.heldout, users));
    const std::size_t samples = core::csr_view::sample_count(positives);
    EXPECT_EQ(download(view.csr.user_samples, samples), as_vector(host.csr.user_samples, samples));

    const bool is_narrow = view.item_count <= 65'536;
    ASSERT_EQ(view.packed_as, is_narrow ? cuda::packing::narrow : cuda::packing::wide);
    if (is_narrow) {
      expect_packed<cuda::narrow_layout>(view, host);
    } else {
      expect_packed<cuda::wide_layout>(view, host);
    }
    if (view.bitset.words != nullptr) {
      const std::size_t words = users * view.bitset.words_per_row;
      EXPECT_EQ(download(view.bitset.words, words), as_vector(host.bitset.words, words));
    }
    if (form == membership_form::bloom_filter) {
      std::vector<std::uint32_t> wanted(view.filter.word_count);
      for (std::uint64_t p = 0; p < positives; ++p) {
        const auto at = core::bloom_filter_view::slot_of(host.csr.user_of(p), host.csr.positive_items[p],
                                                         view.filter.word_count);
        wanted[at.word] |= at.mask();
      }
      EXPECT_EQ(download(view.filter.words, wanted.size()), wanted);
    }
  }
};

TEST_F(device_dataset, uploaded_structures_equal_those_of_the_host) {
  for (const std::int32_t item_count : {97, 1000, 70'000}) {
    const dataset data = edge_dataset(item_count);
    const positives_index index(data);
    for (const membership_form form :
         {membership_form::bitset, membership_form::bloom_filter, membership_form::sorted_search}) {
      expect_equal(
          cuda::device_dataset::upload_async(data, default_bitset_budget_bytes, form, *memory, stream->get()), index,
          form);
    }
  }
}

TEST_F(device_dataset, shuffled_columns_with_repeats_build_the_same_dataset) {
  const dataset data = edge_dataset(1000);
  const positives_index index(data);
  std::vector<std::pair<std::int32_t, std::int32_t>> pairs;
  for (std::int32_t u = 0; u < data.user_count(); ++u) {
    const core::item_row row = index.view().csr.row(user_id{u});
    for (std::uint32_t k = 0; k < row.count; ++k) {
      pairs.emplace_back(u, row.items[k]);
      if (k % 3 == 0) pairs.emplace_back(u, row.items[k]);
    }
  }
  std::shuffle(pairs.begin(), pairs.end(), std::mt19937(3));
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  for (const auto& [user, item] : pairs) {
    users.push_back(user);
    items.push_back(item);
  }
  const auto device_users = upload(users);
  const auto device_items = upload(items);
  const auto heldout = upload(std::vector(data.heldout_items().begin(), data.heldout_items().end()));
  auto rows = cuda::rows_from_interactions({.user_count = data.user_count(),
                                            .item_count = data.item_count(),
                                            .users = {device_users.data(), device_users.size()},
                                            .items = {device_items.data(), device_items.size()},
                                            .heldout = {heldout.data(), heldout.size()}},
                                           *memory, stream->get());
  const auto made = cuda::device_dataset::build_async(std::move(rows), data.item_count(), 0,
                                                      membership_form::automatic, *memory, stream->get());
  expect_equal(made, index, membership_form::bloom_filter);
}

TEST(filter_words, are_halved_if_half_the_cache_holds_the_filter_only_then) {
  constexpr std::uint64_t mebibyte = 1 << 20;
  EXPECT_EQ(cuda::filter_words(994'169, 60 * mebibyte), 497'085U);
  EXPECT_EQ(cuda::filter_words(19'861'770, 60 * mebibyte), 4'965'443U);
  EXPECT_EQ(cuda::filter_words(19'861'770, 32 * mebibyte), 9'930'885U);
  EXPECT_EQ(cuda::filter_words(19'861'770, 100 * mebibyte), 9'930'885U);
  EXPECT_EQ(cuda::filter_words(200'000'000, 60 * mebibyte), 100'000'000U);
}

// The shapes that decided the choice; see the reasons at choose_form.
TEST(choose_form, takes_the_form_with_the_fewest_random_reads) {
  constexpr std::uint64_t mebibyte = 1 << 20;
  const auto chosen = [](std::int32_t users, std::int32_t items, std::uint64_t positives, std::uint64_t budget_bytes) {
    return cuda::choose_form(
        {bitset_bytes(users, items), bloom_filter_bytes(positives), budget_bytes, 50 * mebibyte});
  };
  EXPECT_EQ(chosen(6040, 3706, 994'169, 4096 * mebibyte), membership_form::bitset);
  EXPECT_EQ(chosen(6040, 3706, 994'169, 0), membership_form::bloom_filter);
  EXPECT_EQ(chosen(138'493, 26'744, 19'861'770, 4096 * mebibyte), membership_form::bloom_filter);
  EXPECT_EQ(chosen(2'197'225, 855'776, 1'000'000'000, 20'000 * mebibyte), membership_form::bloom_filter);
}

}  // namespace
}  // namespace negpipe::test

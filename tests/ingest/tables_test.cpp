// Common forms of tables: the resulting dataset, or the error. Also reads the shared inputs if they exist.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ingest/ratings_file.hpp"
#include "negpipe/error.hpp"

namespace negpipe {
namespace {

using test::gzipped;
using test::keep_everyone;

/// Returns users, items, training positives, and "user->held-out item" by raw ids; or "refused: " and the message.
std::string outcome(const std::function<dataset()>& make) {
  try {
    const dataset data = make();
    std::string text = std::to_string(data.user_count()) + " users, " + std::to_string(data.item_count()) + " items, " +
                       std::to_string(data.positive_count()) + " positives;";
    for (std::int32_t user = 0; user < data.user_count(); ++user) {
      const auto held = static_cast<std::size_t>(data.heldout_items()[static_cast<std::size_t>(user)]);
      text += " " + data.user_ids().to_string(static_cast<std::size_t>(user)) + "->" + data.item_ids().to_string(held);
    }
    return text;
  } catch (const error& refusal) {
    return std::string("refused: ") + refusal.what();
  }
}

prepare_options with(const table_options& table) {
  prepare_options options = keep_everyone();
  options.table = table;
  return options;
}

struct example {
  std::string name;
  std::string text;
  std::string expected;
  prepare_options options = keep_everyone();
};

void expect_outcomes(const std::vector<example>& examples) {
  for (const example& each : examples) {
    const std::string found = outcome([&] { return test::prepare_text(each.text, each.options); });
    if (each.expected.starts_with("refused: ")) {
      EXPECT_TRUE(found.starts_with("refused: ")) << each.name << ": " << found;
      EXPECT_NE(found.find(each.expected.substr(9)), std::string::npos) << each.name << ": " << found;
    } else {
      EXPECT_EQ(found, each.expected) << each.name;
    }
  }
}

const std::string two_users = "2 users, 3 items, 2 positives; 1->11 2->12";
const std::string rows = "1,10,3,5\n1,11,3,6\n2,10,3,7\n2,12,3,8\n";

std::string separated(const std::string& by, const std::string& text = rows) {
  std::string result;
  for (const char c : text) result += c == ',' ? by : std::string(1, c);
  return result;
}

TEST(tables, keep_ids_that_are_spelled_differently_apart) {
  expect_outcomes({
      {"leading zeros", "user_id,item_id,timestamp\n07,001,1\n07,002,2\n7,001,3\n7,1,4\n",
       "2 users, 3 items, 2 positives; 07->002 7->1"},
      {"unsigned 64-bit", "user_id,item_id,timestamp\n18446744073709551615,5,1\n18446744073709551615,6,2\n",
       "1 users, 2 items, 1 positives; 18446744073709551615->6"},
      {"minus zero", "user_id,item_id,timestamp\n-0,5,1\n-0,6,2\n0,5,1\n", "2 users, 2 items, 1 positives; -0->6 0->5"},
  });
}

TEST(tables, with_missing_values_are_refused_or_lose_the_rows) {
  const std::string header = "user_id,item_id,timestamp\n";
  const std::string with_words = header + "1,10,1\nNone,10,2\n1,NULL,3\n1,\\N,3\n1,11,nan\n,11,9\n1,12,4\n";
  const std::string kept = "1 users, 2 items, 1 positives; 1->12";
  expect_outcomes({
      {"refused", with_words, "refused: :3:1: the user id is missing: found \"None\""},
      {"dropped", with_words, kept, with({.missing = missing_policy::drop})},
      {"other words", header + "1,10,1\n-,11,2\n1,?,3\n1,12,4\n", kept,
       with({.missing = missing_policy::drop, .na_values = {"-", "?"}})},
      {"a word that is an id", header + "1,NA,1\n1,12,4\n", kept, with({.na_values = {}})},
      {"in quotes", header + "1,10,1\n1,\"NULL\",3\n", "refused: :3:3: the item id is missing"},
      {"nothing left", header + "1,,1\n", "refused: no ratings are left: 1 rows lack a value",
       with({.missing = missing_policy::drop})},
  });
}

TEST(tables, with_quotes_are_read_whatever_the_separator) {
  expect_outcomes({
      {"tab, pandas", "user_id\titem_id\ttimestamp\nu\t\"12\"\" Mix\"\t1\nu\tb\t2\nv\t\"12\"\" Mix\"\t1\n",
       "2 users, 2 items, 1 positives; u->b v->12\" Mix"},
      {"tab, R", "\"user_id\"\t\"item_id\"\t\"timestamp\"\n\"1\"\t\"10\"\t5\n\"1\"\t\"11\"\t6\n",
       "1 users, 2 items, 1 positives; 1->11"},
      {"line break",
       "user_id,item_id,note,timestamp\n1,10,\"two\nlines\",5\n1,11,ok,6\n2,10,\"x \"\"y\"\"\nz\",7\n2,12,,8\n",
       two_users},
      {"not closed", "user_id,item_id,timestamp\n1,10,5\n1,\"11,6\n2,3,4\n",
       "refused: :3:3: a quoted field does not end"},
      {"quotes as characters", "user_id,item_id,timestamp\n1,10,5\n1,\"11,6\n",
       "1 users, 2 items, 1 positives; 1->\"11", with({.quotes = false})},
  });
}

TEST(tables, are_read_by_the_names_of_their_columns) {
  std::vector<example> examples;
  for (const char* header :
       {"UserID,MovieID,Rating,Timestamp", "userID,itemID,rating,timestamp", "user,item,rating,time",
        "uid,iid,rating,ts", "reviewerID,asin,overall,unixReviewTime", "customer_id,article_id,price,t_dat",
        "USER_ID,BOOK_ID,STARS,DATE", "session_id,item_id,x,timestamp",
        "user_id:token,item_id:token,rating:float,timestamp:float"}) {
    examples.push_back({header, std::string(header) + "\n" + rows, two_users});
  }
  examples.push_back({"chosen", "who,what,how,when\n" + rows, two_users,
                      with({.user_column = "who", .item_column = "WHAT", .time_column = "4"})});
  examples.push_back(
      {"unknown", "who,what,how,when\n" + rows, "refused: :1: no user column among \"who, what, how, when\""});
  examples.push_back(
      {"ambiguous", "user_id,track_id,artist_id,timestamp\n" + rows,
       "refused: :1: 2 columns may hold the item: \"track_id\" (column 2) and \"artist_id\" (column 3)"});
  expect_outcomes(examples);
}

TEST(tables, without_a_header_or_with_other_separators_are_read) {
  expect_outcomes({
      {"commas", rows, two_users},
      {"tabs", separated("\t"), two_users},
      {"spaces", separated("  "), two_users},
      {"pipes", separated("|"), two_users},
      {".dat with a header", "UserID::MovieID::Rating::Timestamp\n" + separated("::"), two_users},
      {"semicolons", "user_id;item_id;rating;timestamp\n" + separated(";"), two_users},
      {"Excel", "sep=;\nuser_id;item_id;rating;timestamp\n" + separated(";"), two_users},
      {"KONECT", "% bip weighted posweighted\n% 4 2 3\n" + separated(" "), two_users},
      {"comment", "# exported\nuser_id,item_id,rating,timestamp\n" + rows, two_users},
      {"comments within", "user_id,item_id,rating,timestamp\n1,10,3,5\n# more\n1,11,3,6\n2,10,3,7\n2,12,3,8\n",
       two_users, with({.comment = "#"})},
      {"header with #", "#user_id\titem_id\trating\ttimestamp\n" + separated("\t"), two_users},
      {"dates first", "2020-01-05,1,10,5\n2020-01-03,1,11,4\n",
       "refused: :1: no header, and no known order of 4 columns"},
      {"ids with #", "#1,10,3,5\n#1,11,3,6\n", "1 users, 2 items, 1 positives; #1->11"},
      {"other order", "10\t1\t5\n11\t1\t6\n10\t2\t7\n12\t2\t8\n", two_users,
       with({.user_column = "2", .item_column = "1", .time_column = "3"})},
      {"time before rating", "1\t10\t1000\t5\n1\t11\t2000\t3\n2\t10\t1500\t4\n2\t12\t1600\t4\n", two_users},
      {"header in the middle",
       "user_id,item_id,rating,timestamp\n1,10,3,5\n1,11,3,6\nuser_id,item_id,rating,timestamp\n"
       "2,10,3,7\n2,12,3,8\n",
       two_users},
      {"lines of spaces", "   \n" + rows + "  \n", two_users},
  });
}

TEST(tables, of_unsupported_formats_are_named) {
  expect_outcomes({
      {"Netflix", "1:\n1488844,3,2005-09-06\n", "refused: Netflix Prize's blocks"},
      {"NCF negatives", "(0,25)\t1064\t174\n(1,133)\t1072\t3154\n", "refused: NCF's list of evaluation negatives"},
      {"count line", "18800\n2\t51\t13883\n", "refused: :1: the line has one field, \"18800\""},
  });
}

TEST(tables, without_times_are_read_in_the_order_of_the_file_where_asked) {
  prepare_options options = with({.order = row_order::file});
  expect_outcomes({
      {"refused", "user_id,item_id,rating\n1,10,3\n1,11,3\n", "refused: set `order` to file"},
      {"header", "user_id,item_id,rating\n2,10,3\n1,10,3\n1,11,3\n2,12,4\n",
       "2 users, 3 items, 2 positives; 2->12 1->11", options},
      {"pairs", "1 10\n1 11\n2 10\n2 12\n", two_users, options},
      {"time not read", "user_id,item_id,timestamp\n1,10,soon\n1,11,3\n", "1 users, 2 items, 1 positives; 1->11",
       options},
      {"contradiction", rows, "refused: `order` file and `time_column` exclude each other",
       with({.time_column = "4", .order = row_order::file})},
  });
}

TEST(tables, of_json_lines_are_read_by_their_keys) {
  const std::string lines =
      "{\"reviewerID\": \"1\", \"asin\": \"10\", \"overall\": 5, \"unixReviewTime\": 5, \"helpful\": [1, 2]}\n"
      "{\"unixReviewTime\": 6, \"asin\": \"11\", \"reviewerID\": 1, \"overall\": 2.5}\r\n\n"
      "{\"reviewerID\": 2, \"asin\": \"10\", \"overall\": 4, \"unixReviewTime\": 7}\n"
      "{\"reviewerID\": 2, \"asin\": \"1\\u0032\", \"overall\": 4, \"unixReviewTime\": 8}";
  prepare_options rated = keep_everyone();
  rated.min_rating = 3;
  const prepare_options dropping = with({.missing = missing_policy::drop});
  const std::string yelp =
      "{\"user_id\":\"u\",\"business_id\":\"b\",\"date\":\"2018-07-07 22:09:11\"}\n"
      "{\"user_id\":\"u\",\"business_id\":\"c\",\"date\":\"2018-07-07 22:09:10\"}\n";
  expect_outcomes({
      {"Amazon", lines, two_users},
      {"rated", lines, "2 users, 2 items, 1 positives; 1->10 2->12", rated},
      {"Yelp", yelp, "1 users, 2 items, 1 positives; u->b"},
      {"null", yelp + "{\"user_id\":null,\"business_id\":\"c\",\"date\":\"2018-07-07\"}\n",
       "refused: :3:1: the user id is missing"},
      {"no key", yelp + "{\"business_id\":\"c\",\"date\":\"2018-07-07\"}\n", "1 users, 2 items, 1 positives; u->b",
       dropping},
      {"damaged", yelp + "{\"user_id\":\"u\",\"business_id\"\n", "refused: :3:1: the line is not a JSON object"},
      {"more after it", yelp + "{\"user_id\":\"u\",\"business_id\":\"x\",\"date\":\"2018-07-07\"} x\n",
       "refused: :3:1: "},
      {"an object as id", yelp + "{\"user_id\":{},\"business_id\":\"x\",\"date\":\"2018-07-07\"}\n",
       "refused: :3:1: the line is not a JSON object of ratings (a value is not a string, number or null)"},
      {"no column", "{\"a\":1,\"b\":2}\n", "refused: :1: no user column among \"a, b\""},
  });
}

TEST(tables, of_item_lists_have_a_row_for_each_item) {
  const prepare_options ordered = with({.order = row_order::file});
  const std::string lists = "0 3 5 7\n1 2 5\n2 \n3 1 2 3 4\n";
  const std::string found = "3 users, 6 items, 6 positives; 0->7 1->5 3->4";
  expect_outcomes({
      {"refused", lists, "refused: :1: a line holds a user and its items, and no times"},
      {"LightGCN", lists, found, ordered},
      {"equal lengths", "0 3 5\n1 2 5\n", "2 users, 3 items, 2 positives; 0->5 1->5",
       with({.layout = row_layout::item_lists, .order = row_order::file})},
      {"repeat", "0 3 5\n1 2 5 2\n", "refused: :2: user 1 and item 2 are already in line 2", ordered},
      {"text ids", "u a b\nv c\n", "2 users, 3 items, 1 positives; u->b v->c",
       with({.layout = row_layout::item_lists, .order = row_order::file})},
      {"pairs", "0 3\n0 5\n1 3\n", "2 users, 2 items, 1 positives; 0->5 1->3", ordered},
  });
}

TEST(tables, order_times_of_every_form) {
  const std::string header = "user_id,item_id,timestamp\n";
  const std::string held = "1 users, 3 items, 2 positives; 1->11";
  expect_outcomes({
      {"dates", header + "1,10,2020-01-02\n1,11,2020-01-03\n1,12,2019-12-31\n", held},
      {"dates without zeros", header + "1,10,2019-9-5\n1,11,2019-10-1\n1,12,2019-9-30\n", held},
      {"zones", header + "1,10,2020-01-02T10:00:00+02:00\n1,11,2020-01-02T09:00:00Z\n1,12,2020-01-01T23:00:00-08:00\n",
       held},
      {"fractions", header + "1,10,5.4379\n1,11,5.438\n1,12,5\n", held},
      {"exponents", header + "1,10,9.784e+08\n1,11,1e9\n1,12,9.785e+08\n", held},
      {"milliseconds", header + "1,10,1593878903437\n1,11,1593878903438\n1,12,1593878903\n", held},
      {"mixed", header + "1,10,5\n1,11,2020-01-01\n",
       "refused: :3:6: the timestamp is \"2020-01-01\"; wanted a number"},
  });
}

TEST(tables, may_be_limited_to_high_ratings) {
  prepare_options options = keep_everyone();
  options.min_rating = 3;
  const std::string low = "1,10,5,1\n1,11,1,2\n1,12,4,3\n2,10,2,1\n2,12,5,2\n2,11,3.0,3\n";
  expect_outcomes({
      {"by name", "user_id,item_id,rating,timestamp\n" + low, "2 users, 3 items, 2 positives; 1->12 2->11", options},
      {"no header", low, "2 users, 3 items, 2 positives; 1->12 2->11", options},
      {"no rating", "user_id,item_id,timestamp\n1,2,3\n", "refused: :1: no rating column", options},
      {"bad rating", "user_id,item_id,rating,timestamp\n1,2,good,3\n", "refused: :2:5: the rating is \"good\"",
       options},
  });
}

TEST(tables, report_how_they_were_read) {
  prepare_summary summary;
  test::prepare_text("1,a,3,978300760\n1,b,3,978300761\n", keep_everyone(), 1, &summary);
  const std::string text = summary.detected.to_string();
  for (const char* part :
       {"4 columns separated by commas, no header", "user: column 1, numbers", "item: column 2, text (first at ",
        ":1:3: \"a\")", "time: column 4, numbers, as seconds since 1970", "assumed that column 1 is the user"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST(tables, report_times_of_different_units) {
  prepare_summary summary;
  test::prepare_text("user_id,item_id,timestamp\n1,10,1593878903\n1,11,1593878903438\n", keep_everyone(), 1, &summary);
  EXPECT_EQ(summary.detected.assumed, "times from 1593878903 to 1593878903438 may be of different units: check them");
  test::prepare_text("user_id,item_id,timestamp\n1,10,1593878903\n1,11,1593878904\n", keep_everyone(), 1, &summary);
  EXPECT_EQ(summary.detected.assumed, "");
}

// Rows of the shared table without options: file and expected result.
TEST(tables, of_the_shared_inputs_give_their_right_values) {
  const char* shared = std::getenv("NEGPIPE_SHARED_DIR");
  const std::filesystem::path folder =
      std::filesystem::path(shared != nullptr ? shared : NEGPIPE_SHARED_DIR) / "data" / "inputs";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  const std::string usual = "4 users, 5 items, 11 positives; 11->104 12->101 13->105 14->103";
  std::map<std::string, std::string> expected = {
      {"lead0_silent.csv", "3 users, 4 items, 3 positives; 007->0002 7->0004 0042->0003"},
      {"pandas_quotes.tsv", "2 users, 3 items, 2 positives;"},
      {"tab_uitr.tsv", "2 users, 3 items, 2 positives; 1->56 2->55"},
      {"ml100k_like.tsv", "100 users, 1100 items, 2099 positives;"},
      {"time_col.csv", two_users},
      {"session.csv", "1 users, 2 items, 1 positives;"},
      {"kuairec.csv", "1 users, 2 items, 1 positives; 0->9598"},
      {"kuairec_item.csv", "1 users, 3 items, 2 positives; 0->5262"},
      {"gowalla_checkins.txt", "1 users, 2 items, 1 positives; 0->22847"},
      {"excel_sep.csv", "1 users, 2 items, 1 positives;"},
      {"ts_iso.csv", "2 users, 3 items, 3 positives; 1->10 2->10"},
      {"ts_exp.csv", "2 users, 3 items, 3 positives; 1->12 2->12"},
      {"communitynotes.csv", two_users},
      {"cr_only.csv", "1 users, 2 items, 1 positives;"},
      {"p.parquet", "refused: "},
      {"ratings.tar.gz", "refused: "},
      {"lightgcn.txt", "refused: "},
      {"sasrec.txt", "refused: "},
      {"trailing_comma.csv", "1 users, 2 items, 1 positives;"},
      {"header_again.csv", "2 users, 2 items, 2 positives;"},
      {"id_u64.csv", "2 users, 3 items, 3 positives;"},
      {"none_user.csv", "refused: "},
      {"none_items.csv", "refused: "},
      {"pandas_float_ts.csv", "refused: "},
      {"utf8_header.csv", "refused: "},
      {"utf8_long_dup.csv", "refused: "},
      {"lat_dup.csv", "refused: "},
      {"netflix_combined.txt", "refused: "},
      {"ncf_test_negative.tsv", "refused: "},
      {"lastfm_counted.dat", "refused: "},
      {"noheader_tab_textusers.tsv", "4 users, 5 items, 11 positives;"},
      {"jsonl.json", "4 users, 5 items, 11 positives; A11->B104 A12->B101 A13->B105 A14->B103"},
  };
  for (const char* name :
       {"ml-100k-head.inter", "hdr_UserID.csv", "hdr_userID_itemID.csv", "hdr_userId_itemId.csv", "hdr_user_item.csv",
        "hdr_uid_iid.csv", "hdr_unix.csv", "noheader_tab3.tsv", "amazon_noheader.csv", "noheader_space.txt",
        "dat_header.dat", "semicolon.csv", "konect.tsv", "hash_comment.csv", "tab_header_quoted.tsv"}) {
    expected[name] = usual;
  }
  for (const auto& [name, wanted] : expected) {
    const std::string found = outcome([&, file = folder / name] { return prepare(file, keep_everyone()); });
    EXPECT_TRUE(found.starts_with(wanted)) << name << ": " << found;
  }
}

}  // namespace
}  // namespace negpipe

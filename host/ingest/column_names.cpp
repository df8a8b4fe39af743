#include "column_names.hpp"

#include <fmt/format.h>

#include <array>

#include "fields.hpp"
#include "negpipe/error.hpp"
#include "whole_number.hpp"

namespace negpipe::ingest {

namespace {

/// Names by rank, separated by spaces; the first rank takes precedence. In plain form, see plain().
using name_ranks = std::array<std::string_view, 3>;

constexpr name_ranks user_names = {
    "userid user uid username",
    "customerid customer reviewerid reviewer memberid member visitorid visitor profileid accountid personid "
    "clientid buyerid playerid readerid listenerid viewerid subscriberid consumerid authorid msno steamid userno "
    "useridx userindex usercode userhash u",
    "sessionid session sid",
};

constexpr name_ranks item_names = {
    "itemid item iid",
    "movieid movie productid product articleid article bookid book videoid video businessid songid song trackid "
    "track artistid artist albumid asin parentasin isbn gameid game appid newsid recipeid venueid poiid placeid "
    "locationid gmapid adid jobid courseid animeid beerid goodsid skuid sku listingid hotelid storeid postid "
    "contentid docid documentid streamid noteid itemno itemidx itemindex itemcode merchantid i",
    "",
};

constexpr name_ranks time_names = {
    "timestamp ts unixtimestamp unixreviewtime",
    "time datetime unixtime eventtime timems timestampms timestamps createdat creationtime createtime createdtime "
    "visittime watchtime viewtime clicktime ratingtime ratingtimestamp starttime playedat listenedat checkintime "
    "utctime ordertime purchasetime interactiontime",
    "date tdat day reviewtime reviewdate ratingdate orderdate purchasedate creationdate createddate transactiondate "
    "invoicedate eventdate datesubmitted",
};

constexpr name_ranks rating_names = {
    "rating ratings",
    "score stars star overall rate bookrating reviewrating starrating ratingscore reviewscore preference",
    "weight count playcount plays watchratio value label",
};

const name_ranks& names_of(column_role role) {
  switch (role) {
    case column_role::user:
      return user_names;
    case column_role::item:
      return item_names;
    case column_role::time:
      return time_names;
    case column_role::rating:
      break;
  }
  return rating_names;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::string plain(std::string_view name) {
  std::string result = lower(name);
  std::erase_if(result, [](char c) { return c == '_' || c == '-' || c == ' ' || c == '.'; });
  return result;
}

bool holds_word(std::string_view words, std::string_view word) {
  for (std::size_t at = 0; !word.empty() && (at = words.find(word, at)) != std::string_view::npos; at += word.size()) {
    const std::size_t end = at + word.size();
    if ((at == 0 || words[at - 1] == ' ') && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

std::vector<std::size_t> matches(const std::vector<std::string>& names, auto&& equals) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (equals(names[i])) found.push_back(i);
  }
  return found;
}

std::string list_of(const std::vector<std::string>& names, const std::vector<std::size_t>& columns) {
  std::string list;
  for (std::size_t k = 0; k < columns.size(); ++k) {
    if (k != 0) list += k + 1 == columns.size() ? " and " : ", ";
    list += fmt::format("{} (column {})", in_quotes(names[columns[k]]), columns[k] + 1);
  }
  return list;
}

[[noreturn]] void refuse_ambiguous(const std::string& where, const std::vector<std::string>& names, column_role role,
                                   const std::vector<std::size_t>& found) {
  throw input_error(fmt::format("{}: {} columns may hold the {}: {}; choose one with `{}_column`", where, found.size(),
                                name_of(role), list_of(names, found), name_of(role)));
}

/// Returns the columns with a name: exactly, otherwise in any case, otherwise in plain form.
std::vector<std::size_t> named(const std::vector<std::string>& names, const std::string& choice) {
  const std::string wanted = clean_name(choice);
  auto found = matches(names, [&](const std::string& name) { return name == wanted; });
  if (found.empty()) found = matches(names, [&](const std::string& name) { return lower(name) == lower(wanted); });
  if (found.empty()) found = matches(names, [&](const std::string& name) { return plain(name) == plain(wanted); });
  return found;
}

}  // namespace

std::string_view name_of(column_role role) {
  constexpr std::array<std::string_view, 4> names = {"user", "item", "time", "rating"};
  return names[static_cast<std::size_t>(role)];
}

std::string clean_name(std::string_view name) {
  name = trimmed(name);
  if (name.starts_with('#')) name = trimmed(name.substr(1));  // as numpy.savetxt and many TSV files mark their header
  constexpr std::array<std::string_view, 4> types = {":token", ":float", ":token_seq", ":float_seq"};
  for (const std::string_view type : types) {
    if (name.ends_with(type)) return std::string(name.substr(0, name.size() - type.size()));
  }
  return std::string(name);
}

std::optional<std::size_t> find_column(const std::string& where, const std::vector<std::string>& names,
                                       column_role role) {
  for (const std::string_view rank : names_of(role)) {
    const auto found = matches(names, [&](const std::string& name) { return holds_word(rank, plain(name)); });
    if (found.size() > 1) refuse_ambiguous(where, names, role, found);
    if (!found.empty()) return found.front();
  }
  return std::nullopt;
}

bool names_column(const std::vector<std::string>& names, const std::string& choice) {
  return choice.find_first_not_of("0123456789") != std::string::npos && !named(names, choice).empty();
}

std::size_t chosen_column(const std::string& where, const std::vector<std::string>& names, std::size_t column_count,
                          column_role role, const std::string& choice) {
  const auto found = named(names, choice);
  if (found.size() == 1) return found.front();
  if (found.size() > 1) refuse_ambiguous(where, names, role, found);
  const auto number = support::whole_number<std::size_t>(choice);
  if (number && *number >= 1 && *number <= column_count) return *number - 1;
  const std::string columns =
      names.empty() ? fmt::format("there is no header, and each row has {} columns", column_count)
                    : fmt::format("the columns are {}", in_quotes(fmt::format("{}", fmt::join(names, ", "))));
  throw input_error(
      fmt::format("{}: `{}_column` {} is not a column: {}; give a name of the header or a number from 1 to {}", where,
                  name_of(role), in_quotes(choice), columns, column_count));
}

}  // namespace negpipe::ingest

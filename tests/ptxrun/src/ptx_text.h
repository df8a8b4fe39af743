// Reading of PTX text: words, lists, numbers, types, declarations.
#pragma once
#include <cctype>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptx.h"

namespace ptxrun {

struct TypeInfo {
  TypeId id;
  uint8_t bytes;
  bool sgn, flt;
};

// Declaration of a variable or parameter without its state space: alignment, element type, name, size.
struct Decl {
  std::string name;
  uint64_t align = 0, elem = 1, size = 0;
  TypeId type = TNone;
  bool unsized_array = false;
};

bool is_ident(char c);
std::string_view trim(std::string_view s);
std::vector<std::string_view> split_top(std::string_view s, char sep = ',');
const std::unordered_map<std::string, TypeInfo>& types();
uint64_t parse_int(std::string_view s, bool* ok = nullptr);
size_t match_brace(const std::string& t, size_t open);
void blank_comments(std::string& t);
std::vector<std::string_view> words(std::string_view s);
Decl parse_decl(std::string_view s);

}  // namespace ptxrun

"""Makes a program of the C++ snippets of a page, those of the host: cpp_guide.py PAGE SOURCE."""

import pathlib
import re
import sys

PROGRAM = """// Made from {page} by cpp_guide.py.
#include <cstdint>
#include <vector>

#include "negpipe/negpipe.hpp"

namespace {{

std::uint64_t points = 0;

void train(std::span<const std::int32_t> users, const negpipe::item_view&, std::span<const std::int8_t>) {{
  points += users.size();
}}

}}  // namespace

int main() {{
{snippets}
return points == 3 * sampler.batch_count() * 65'536 ? 0 : 1;
}}
"""

page = pathlib.Path(sys.argv[1])
snippets = re.findall(r"^```cpp\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
on_the_host = [snippet for snippet in snippets if not re.search(r"device_\w*sampler", snippet)]
assert len(on_the_host) >= 3, page
pathlib.Path(sys.argv[2]).write_text(PROGRAM.format(page=page.name, snippets="\n".join(on_the_host)))

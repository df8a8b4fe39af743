"""every_function.cu calls every function that the core marks for host and device: what no kernel calls, no compiler has
compiled for one."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[3]
CALLER = pathlib.Path(__file__).with_name("every_function.cu")


def marked_functions(text):
    """Names of public functions marked NEGPIPE_HD; operators are called by other names."""
    text = re.sub(r"//[^\n]*|^#[^\n]*", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n private:\n.*?\n};", "\n};", text, flags=re.DOTALL)
    return re.findall(r"\bNEGPIPE_HD\b[^;{}()]*?\b(?!operator\b)(\w+)\s*\(", text)


def uncalled(text, caller):
    return [name for name in marked_functions(text) if not re.search(rf"\b{name}\(", caller)]


def test_every_function_is_called():
    caller = CALLER.read_text()
    headers = list((ROOT / "include/negpipe/core").glob("*.hpp"))
    assert len(headers) > 10
    missing = [f"{path.name}: {name}" for path in sorted(headers) for name in uncalled(path.read_text(), caller)]
    assert not missing, f"to be called in {CALLER.name}: {missing}"


def test_a_function_that_is_not_called_is_named():
    text = """
struct thing {
  static NEGPIPE_HD constexpr int known(int a) { return a; }
  template <typename Source>
  NEGPIPE_HD std::uint64_t unknown(const Source& s,
                                   int b) const { return 1; }
  NEGPIPE_HD bool operator()(int) const;

 private:
  NEGPIPE_HD int hidden() const;
};
NEGPIPE_HD inline int loose(int a);  // NEGPIPE_HD int commented(int a)
"""
    assert marked_functions(text) == ["known", "unknown", "loose"]
    assert uncalled(text, "known(1) loose(2)") == ["unknown"]

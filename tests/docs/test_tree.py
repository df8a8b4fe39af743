"""Rules of the tree: text format, links between documents, and includes."""

import ast
import json
import pathlib
import re
import subprocess

import pyflakes.checker
import pyflakes.messages
import pytest

ROOT = pathlib.Path(__file__).parents[2]
WIDTH = 120
CODE = {".hpp", ".cpp", ".inl", ".cu", ".cuh", ".c", ".py", ".cmake"}


def tracked():
    result = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip("not a git checkout: which files belong to the tree is not known")
    return [ROOT / name for name in result.stdout.splitlines() if (ROOT / name).is_file()]


def is_code(path):
    return path.suffix in CODE or path.name == "CMakeLists.txt"


def violations(text, code):
    """Returns format errors of a text file, by line."""
    found = []
    if text and not text.endswith("\n"):
        found.append("no newline at its end")
    for number, line in enumerate(text.split("\n"), 1):
        if line.rstrip() != line:
            found.append(f"{number}: white space at the end of the line")
        if code and "\t" in line:
            found.append(f"{number}: a tab")
        if code and len(line) > WIDTH:
            found.append(f"{number}: {len(line)} columns")
        if code and re.search(r"\b(TO" r"DO|FIX" r"ME)\b", line):
            found.append(f"{number}: a note of work to do; do it, or open an issue")
    return found


def test_the_checks_detect_violations():
    assert len(violations("a \n\tb\n" + "c" * 121 + "\nTO" + "DO", code=True)) == 5


def test_form():
    found = []
    for path in tracked():
        if is_code(path) or path.suffix == ".md" or path.parent == ROOT / "scripts":
            found += [f"{path.relative_to(ROOT)}: {violation}"
                      for violation in violations(path.read_text(), is_code(path))]
    assert not found, "\n".join(found)


def test_links_between_documents():
    broken = []
    for path in tracked():
        if path.suffix == ".md":
            for link in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
                if "://" not in link and not (path.parent / link).exists():
                    broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken, "\n".join(broken)


# From which folders the sources of a folder may include headers, besides its own. host/X stands for the internal
# headers of a component, which CMakeLists.txt lists under USES.
MAY_INCLUDE = {
    "include/negpipe/core": {"negpipe/core"},
    "include/negpipe": {"negpipe", "negpipe/core"},
    "host/support": {"negpipe"},
    "host/ingest": {"negpipe", "negpipe/core", "host/dataset", "host/support"},
    "host/dataset": {"negpipe", "host/support"},
    "host/plan": {"negpipe", "negpipe/core", "host/support"},
    "host/backend": {"negpipe", "negpipe/core", "host/support"},
    "host/sampler": {"negpipe", "negpipe/core", "host/backend", "host/support"},
    "host/record": {"negpipe", "host/support"},
    "host/pipeline": {"negpipe", "negpipe/core", "host/support", "host/record"},
    "host/cli": {"negpipe", "negpipe/core"},
    "cuda": {"negpipe", "negpipe/core"},
    "python/bindings": {"negpipe"},
}


def includes(path):
    return re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE)


def folder_of(include, folder):
    """Returns the folder of MAY_INCLUDE that an include belongs to."""
    if include.startswith("negpipe/"):
        return str(pathlib.Path(include).parent)
    found = [name for name in MAY_INCLUDE if (ROOT / name / include).is_file() and not name.startswith("include")]
    return folder if folder in found else found[0] if found else f"nowhere ({include})"


def test_includes_follow_the_layers():
    wrong = []
    for folder, allowed in MAY_INCLUDE.items():
        sources = [path for path in (ROOT / folder).iterdir() if path.suffix in CODE]
        assert sources, folder
        for path in sources:
            own = folder.removeprefix("include/")
            for include in includes(path):
                if folder_of(include, folder) not in allowed | {folder, own}:
                    wrong.append(f"{path.relative_to(ROOT)} includes {include}")
    assert not wrong, "\n".join(wrong)


# Functions of std::filesystem that throw its own exceptions unless they get an error_code.
ASKS_THE_SYSTEM = ("absolute|canonical|copy|copy_file|copy_symlink|create_directories|create_directory|create_symlink|"
                   "current_path|directory_iterator|equivalent|exists|file_size|hard_link_count|is_directory|is_empty|"
                   "is_regular_file|is_symlink|last_write_time|permissions|proximate|read_symlink|"
                   "recursive_directory_iterator|relative|remove|remove_all|rename|resize_file|space|status|"
                   "symlink_status|temp_directory_path|weakly_canonical")
ERROR_CODES = {"failure", "ignored", "unknown", "gone"}


def careless_calls(text):
    """Returns calls of std::filesystem that throw an exception other than negpipe::error."""
    found = []
    for call in re.finditer(rf"\b(?:fs|filesystem)::(?:{ASKS_THE_SYSTEM})\b(?: \w+)?([({{])", text):
        end = depth = 0
        for end in range(call.end() - 1, len(text)):
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
        last = text[call.end():end].rpartition(",")[2].strip()
        if last not in ERROR_CODES:
            found.append(text[call.start():end + 1])
    return found


def test_throwing_calls_are_detected():
    assert careless_calls("if (fs::exists(path / f(1, failure))) std::filesystem::remove(path);") == [
        "fs::exists(path / f(1, failure))", "filesystem::remove(path)"]
    assert careless_calls("for (fs::directory_iterator i(folder); ; ) {}") == ["fs::directory_iterator i(folder)"]
    assert careless_calls("fs::remove(a(b), ignored); support::exists(path); fs::path(path);") == []


def test_filesystem_calls_use_an_error_code():
    sources = [path for path in tracked() if path.is_relative_to(ROOT / "host") and path.suffix in CODE]
    assert sources
    wrong = [f"{path.relative_to(ROOT)}: {call}" for path in sources for call in careless_calls(path.read_text())]
    assert not wrong, "\n".join(wrong)


def test_the_page_of_the_rooms_names_each():
    page = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = {path.name for path in (ROOT / "host").iterdir() if path.is_dir()}
    unnamed = {room for room in rooms if f"`host/{room}`" not in page}
    assert not unnamed, unnamed


def test_results_name_no_place_of_a_machine():
    for path in (ROOT / "bench/results").glob("*.json"):
        content = json.loads(path.read_text())
        command = content.get("command", "") if isinstance(content, dict) else ""
        assert not re.search(r"(^|[ =])/", command), f"{path.name}: {command}"


def undefined_names(text, name):
    found = pyflakes.checker.Checker(ast.parse(text), filename=name).messages
    return [str(message) for message in found if isinstance(message, pyflakes.messages.UndefinedName)]


def test_python_code_uses_no_undefined_names():
    """Also in code that no test here can run, such as that for tensors on a device."""
    assert undefined_names("def f():\n    return g(1)\n", "x.py")
    paths = [path for path in tracked() if path.suffix == ".py"]
    assert len(paths) > 100
    assert not [name for path in paths for name in undefined_names(path.read_text(), str(path))]


def test_sources_include_their_own_header_first():
    wrong = []
    for path in tracked():
        own = path.with_suffix(".hpp")
        if path.suffix == ".cpp" and own.exists():
            first = re.search(r'^#include\s+["<]([^">]+)', path.read_text(), re.MULTILINE)
            if not first or pathlib.Path(first.group(1)).name != own.name:
                wrong.append(str(path.relative_to(ROOT)))
    assert not wrong, "\n".join(wrong)

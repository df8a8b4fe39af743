"""The form of the tree: what an editor should have settled, and links between documents."""

import pathlib
import re
import subprocess

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


def complaints(text, code):
    """What is wrong with the form of a text file, by line."""
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
            found.append(f"{number}: a wish; do it, or write an issue")
    return found


def test_the_checks_complain():
    assert len(complaints("a \n\tb\n" + "c" * 121 + "\nTO" + "DO", code=True)) == 5


def test_form():
    found = []
    for path in tracked():
        if is_code(path) or path.suffix == ".md" or path.parent == ROOT / "scripts":
            found += [f"{path.relative_to(ROOT)}: {complaint}"
                      for complaint in complaints(path.read_text(), is_code(path))]
    assert not found, "\n".join(found)


def test_links_between_documents():
    broken = []
    for path in tracked():
        if path.suffix == ".md":
            for link in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
                if "://" not in link and not (path.parent / link).exists():
                    broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken, "\n".join(broken)


def test_sources_include_their_own_header_first():
    wrong = []
    for path in tracked():
        own = path.with_suffix(".hpp")
        if path.suffix == ".cpp" and own.exists():
            first = re.search(r'^#include\s+["<]([^">]+)', path.read_text(), re.MULTILINE)
            if not first or pathlib.Path(first.group(1)).name != own.name:
                wrong.append(str(path.relative_to(ROOT)))
    assert not wrong, "\n".join(wrong)

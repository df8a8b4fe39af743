"""Every public header compiles alone, with a plain C++20 compiler and without third-party headers."""

import os
import pathlib
import subprocess

import pytest

INCLUDE = pathlib.Path(__file__).parents[2] / "include"
HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.hpp"))
# Folders of the headers of private dependencies, which no public header may include.
FOREIGN = ("fmt/", "nlohmann/", "isa-l/", "openssl/", "CLI/", "gtest/", "Random123/", "cuda", "curand", "zlib.h")


def dependencies(header, text, folder):
    """Compiles text and returns the included files."""
    source = folder / "alone.cpp"
    source.write_text(text)
    rule = folder / "alone.d"
    result = subprocess.run(
        [os.environ.get("CXX", "g++"), "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
         f"-I{INCLUDE}", "-MD", "-MF", str(rule), str(source)],
        capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{header} does not compile alone:\n{result.stderr}"
    return rule.read_text().replace("\\\n", " ").split()[1:]


def foreign(files):
    return [file for file in files for name in FOREIGN if f"/include/{name}" in file]


def test_the_tree_has_public_headers():
    assert len(HEADERS) > 10


@pytest.mark.parametrize("header", HEADERS)
def test_every_public_header_compiles_alone(header, tmp_path):
    # Twice: a header without a guard fails.
    files = dependencies(header, f'#include "{header}"\n#include "{header}"\n', tmp_path)
    assert foreign(files) == []


def test_a_foreign_header_is_detected(tmp_path):
    assert foreign(dependencies("zlib.h", "#include <zlib.h>\n", tmp_path)) != []

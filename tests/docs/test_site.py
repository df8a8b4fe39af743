"""The documentation site builds without warnings, which checks its links, and its snippets run."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ["NEGPIPE_PROGRAM"])
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text())
NEEDS = {"pytorch": "torch", "jax": "jax"}


def test_the_site_builds_without_network(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", ROOT / "mkdocs.yml"]
    offline = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    outcome = subprocess.run([*build, "--site-dir", tmp_path / "site"], capture_output=True, text=True, check=False,
                             env=offline)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    index = (tmp_path / "site/index.html").read_text()
    assert "Start in five minutes" in index and "fonts.g" + "oogleapis" not in index


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a ratings.csv whose users have 999 items left."""
    folder = tmp_path_factory.mktemp("ratings")
    shape = ["--users", "100", "--items", "2000", "--positives", "6000", "--seed", "1"]
    subprocess.run([PROGRAM, "synth", *shape, "--out", "dataset", "--csv", "ratings.csv"], cwd=folder, check=True,
                   capture_output=True)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_snippets_run_in_the_order_of_their_page(page, folder, tmp_path):
    needed = NEEDS.get(page.stem)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    snippets = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "page.py").write_text("if __name__ == '__main__':\n" + "".join(
        f"    {line}\n" if line else "\n" for line in "\n".join(snippets).split("\n")))
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent / "python"), "JAX_PLATFORMS": "cpu"}
    outcome = subprocess.run([sys.executable, tmp_path / "page.py"], cwd=folder, env=environment, capture_output=True,
                             text=True, check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert snippets

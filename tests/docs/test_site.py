"""The documentation site builds without warnings, which checks its links, and its snippets run."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ["NEGPIPE_PROGRAM"])
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text())
NEEDS = {"pytorch": "torch", "jax": "jax", "tensorflow": "tensorflow", "recipes": "torch"}


def snippets_of(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_site_builds_without_network(tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--config-file", ROOT / "mkdocs.yml"]
    offline = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    outcome = subprocess.run([*build, "--site-dir", tmp_path / "site"], capture_output=True, text=True, check=False,
                             env=offline)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    index = (tmp_path / "site/index.html").read_text()
    assert "Start in five minutes" in index and "fonts.g" + "oogleapis" not in index
    reference = (tmp_path / "site/api/negpipe.html").read_text()
    for documented in ("Dataset.mask_positives_", "TrainLoader.state_dict", "EvalLoader.save_candidates"):
        assert f">{documented}<" in reference, documented


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs/index.md").open("a") as page:
        page.write("\n[nowhere](nowhere.md)\n")
    build = [sys.executable, "-m", "mkdocs", "build", "--config-file", tmp_path / "mkdocs.yml"]
    outcome = subprocess.run(build, capture_output=True, text=True, check=False)
    assert outcome.returncode != 0 and "nowhere.md" in outcome.stdout + outcome.stderr


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
    snippets = snippets_of(page, "python")
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    for commands in snippets_of(page, "sh"):
        subprocess.run(["sh", "-eu", "-c", commands], cwd=folder, env={**os.environ, "PATH": path}, check=True,
                       capture_output=True)
    (tmp_path / "page.py").write_text("if __name__ == '__main__':\n" + "".join(
        f"    {line}\n" if line else "\n" for line in "\n".join(snippets).split("\n")))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(PROGRAM.parent / "python"), "JAX_PLATFORMS": "cpu"}
    outcome = subprocess.run([sys.executable, tmp_path / "page.py"], cwd=folder, env=environment, capture_output=True,
                             text=True, check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert snippets


def test_snippets_for_a_gpu_are_valid_python():
    """Marked `py`: they need a device and a model."""
    snippets = [(page.stem, snippet) for page in PAGES for snippet in snippets_of(page, "py")]
    assert [name for name, _ in snippets] == ["pytorch"]
    for name, snippet in snippets:
        compile(snippet, name, "exec")


def test_the_cpp_guide_runs(folder):
    subprocess.run([os.environ["NEGPIPE_CPP_GUIDE"]], cwd=folder, check=True)

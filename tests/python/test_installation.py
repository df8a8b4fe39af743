"""The package installs, and works from where it is installed."""

import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "python"


def test_pip_installs_it(run, tmp_path):
    # pip builds in the source folder and leaves things there: a copy keeps the tree clean.
    shutil.copytree(SOURCE, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-build-isolation"]
    outcome = subprocess.run(
        [*pip, "--no-deps", "--target", tmp_path / "site", tmp_path / "source"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    script = "import negpipe.records as r, sys; print(r.__file__, len(r.hash(sys.argv[1])))"
    path = subprocess.run(
        [sys.executable, "-c", script, run],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path / "site")},
    ).stdout
    assert path.split() == [str(tmp_path / "site/negpipe/records.py"), "3"]

"""The package installs, and works from where it is installed."""

import pathlib
import shutil
import subprocess
import sys

from program import PROGRAM

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

    def find_program(**environment):
        script = "from negpipe import program\ntry: print(program.find_program())\nexcept Exception as e: print([e])"
        return subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(tmp_path / "site"), **environment},
        ).stdout.strip()

    # Away from a checkout it is found on the PATH, where cmake --install has put it, or by name; else the way is told.
    assert find_program(PATH=str(pathlib.Path(PROGRAM).parent)) == PROGRAM
    assert find_program(PATH="/nowhere", NEGPIPE_PROGRAM=PROGRAM) == PROGRAM
    told = find_program(PATH="/nowhere")
    assert told.startswith("[ProgramError") and "cmake --install" in told and "NEGPIPE_PROGRAM" in told

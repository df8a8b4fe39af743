"""scripts/wheel: its options and refusals. The nightly test `wheel` builds one."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def wheel(*arguments):
    return subprocess.run([ROOT / "scripts/wheel", *arguments], capture_output=True, text=True, check=False,
                          cwd=os.sep)


def test_help_names_every_option():
    outcome = wheel("--help")
    assert outcome.returncode == 0
    assert all(option in outcome.stdout for option in ("--python", "--out", "NEGPIPE_CUDA=OFF")), outcome.stdout


@pytest.mark.parametrize("arguments, message", [
    (["--no-such-option"], "unknown argument --no-such-option"),
    (["--python", "/bin/false"], "/bin/false does not run"),
    (["--python", "/no/python"], "/no/python does not run"),
])
def test_wrong_arguments_are_refused_before_anything_is_built(arguments, message, tmp_path):
    outcome = wheel("--out", str(tmp_path / "wheel"), *arguments)
    assert outcome.returncode == 1 and f"scripts/wheel: {message}" in outcome.stderr, outcome.stderr
    assert not (tmp_path / "wheel").exists()

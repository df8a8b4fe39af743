"""negpipe doctor says what is there, and fails when a device makes other batches."""

import subprocess
import sys

import numpy as np
import pytest

from negpipe import doctor


def test_the_report_names_what_is_there():
    outcome = subprocess.run([sys.executable, "-m", "negpipe", "doctor"], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    lines = ("negpipe 0.", "backend cpu: available", f"numpy: {np.__version__}", "batches on cpu: equal", "driver: ")
    for line in lines:
        assert line in outcome.stdout, outcome.stdout


@pytest.mark.parametrize("option, status", [("--help", 0), ("-h", 0), ("--all", 2)])
def test_help_is_that_of_doctor(option, status):
    command = [sys.executable, "-m", "negpipe", "doctor", option]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == status
    assert (outcome.stdout or outcome.stderr).startswith("usage: negpipe doctor"), outcome


def test_a_device_that_differs_or_fails_is_reported(monkeypatch, capsys):
    class Loader:
        def __init__(self, value):
            self.value = value

        def epoch(self, _):
            return [(np.array([1 // self.value]),)]

    def run(*values):
        monkeypatch.setattr(doctor, "_runs", lambda: [(f"device {v}", lambda v=v: Loader(v)) for v in values])
        return doctor.main(), capsys.readouterr().out

    assert run(1, 1)[0] == 0
    status, told = run(1, 2)
    assert status == 1 and "device 2: DIFFERENT" in told
    status, told = run(1, 0)
    assert status == 1 and "device 0: failed" in told

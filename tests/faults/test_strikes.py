"""A sample of strikes.py, which makes every system call fail: outputs must be as before or complete."""

import shutil
import subprocess
import zlib

import pytest
import strikes
from strikes import FAULTS, SCENARIOS, Strike

STRIKES_EACH = 2
# The calls that change the disk; the nightly run does all others.
CHANGING = ("write", "pwrite64", "fsync", "rename", "renameat2", "mkdir", "unlink", "unlinkat", "rmdir", "openat",
            "open", "ftruncate", "close")


@pytest.fixture(scope="session")
def by():
    found = strikes.striker()
    if found is None:
        pytest.skip("neither strace nor a preloaded library can be used here")
    return found


@pytest.fixture(scope="session")
def calls(arena, by):
    """The number of calls of each scenario, counted once."""
    counted = {}

    def count(scenario):
        if scenario.name not in counted:
            counted[scenario.name] = by.calls(scenario.arguments, arena.fresh(scenario))
        return counted[scenario.name]

    return count


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_every_output_is_as_before_or_complete(scenario, fault, arena, by, calls):
    found = calls(scenario)
    candidates = [(call, when) for call in CHANGING for when in range(1, found.get(call, 0) + 1)]
    # Spread over the run; each scenario and failure uses other calls.
    step = max(1, len(candidates) // STRIKES_EACH)
    first = zlib.crc32(f"{scenario.name} {fault}".encode()) % step
    for call, when in candidates[first::step]:
        strike = Strike(call, when, fault)
        _, problems = arena.strike(by, scenario, strike)
        assert problems == [], f"{scenario.name} {strike}"


def test_an_incomplete_folder_is_detected(arena):
    scenario = SCENARIOS["generate_force"]
    killed = subprocess.CompletedProcess((), -9, "", "")
    strike = Strike("write", 1, "KILL")
    folder = arena.fresh(scenario)
    arena.states(scenario)
    folder = arena.fresh(scenario)
    assert list(arena.problems(scenario, strike, killed, folder)) == []
    cycle = folder / "run/training_epochs/cycle_00000"
    for name in ("train_0.tfrecords", "ready.json"):
        whole = (cycle / name).read_bytes()
        (cycle / name).write_bytes(whole[:-1])
        assert list(arena.problems(scenario, strike, killed, folder))
        (cycle / name).unlink()
        assert list(arena.problems(scenario, strike, killed, folder))
        (cycle / name).write_bytes(whole)
    finished = subprocess.CompletedProcess((), 0, "", "")
    assert list(arena.problems(scenario, strike, finished, folder)), "status 0, but the output is the old one"
    (cycle.parent / ".cycle_00000.partial-0123").mkdir()
    failed = subprocess.CompletedProcess((), 6, "", "")
    assert list(arena.problems(scenario, Strike("write", 1, "EIO"), failed, folder))
    shutil.rmtree(cycle)
    assert list(arena.problems(scenario, strike, killed, folder))

"""Killed at any change of a directory: no cycle is made twice or left out, and no visible folder is incomplete."""

import errno
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from program import OK, PROGRAM, SYSTEM, USAGE, digests, leftovers, preloading

TINY = ("--batch-size", 512, "--eval-negatives", 20, "--eval-batch-size", 210, "--readers", 1, "--threads", 1)
CYCLES = 3
# The nightly run tries all moments, which takes minutes; by default every n-th.
STRIDE = int(os.environ.get("NEGPIPE_STRIDE", "13"))
KILLED = -9


@pytest.fixture(scope="module")
def strike():
    return preloading("NEGPIPE_STRIKE")


class Run:
    """Producers of one cache that end by themselves."""

    def __init__(self, dataset, folder, strike):
        self.dataset, self.folder, self.strike = dataset, folder, strike
        self.cache = folder / "x_ncf_recommendation_cache"
        folder.mkdir(parents=True)

    def produce(self, *arguments, seed=42, struck_at=None, **how):
        """Returns the exit status, and whether the strike was reached."""
        mark = self.folder.parent / "struck"
        mark.unlink(missing_ok=True)
        environment = None
        if struck_at:
            environment = {**self.strike, "STRIKE_AT": str(struck_at), "STRIKE_MARK": str(mark), **how}
        command = [PROGRAM, "produce", self.dataset, *TINY, "--data-dir", self.folder, "--cache-id", "x"]
        command += ["--seed", seed, "--cycles", CYCLES, "--cycles-ahead", 9, "--parent", 0, "--timeout", 20, "--quiet"]
        command += arguments
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
        self.said = done.stderr
        return done.returncode, mark.exists()

    def folders(self):
        return [*sorted((self.cache / "training_epochs").glob("cycle_*")), *self.cache.glob("eval_data")]

    def content(self):
        """Returns the digests of the files of each visible folder, by its name."""
        return {folder.name: digests(folder) for folder in self.folders()}

    def consume(self):
        """Deletes all cycles like a trainer. Returns their numbers."""
        cycles = [folder for folder in self.folders() if folder.name != "eval_data"]
        for cycle in cycles:
            shutil.rmtree(cycle)
        return [int(cycle.name[6:]) for cycle in cycles]


@pytest.fixture
def scratch(tmp_path):
    """A folder in which syncs are free, if there is one."""
    memory = pathlib.Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = tempfile.mkdtemp(prefix="negpipe-crashes-", dir=memory)
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(dataset, tmp_path_factory, strike):
    """Output of undisturbed producers, by seed."""
    content = {}
    for seed in (1, 42):
        run = Run(dataset, tmp_path_factory.mktemp("made") / "data", strike)
        assert run.produce(seed=seed)[0] == OK
        content[seed] = run.content()
    return content


def moments():
    """Yields the numbers of the system calls to fail, endlessly."""
    return itertools.count(1, STRIDE)


HOW = {
    "killed": {"STRIKE_WITH": "KILL"},
    "failing_once": {"STRIKE_WITH": str(errno.EIO)},
    "failing_from_then_on": {"STRIKE_WITH": str(errno.EIO), "STRIKE_ON": "1"},
}


@pytest.mark.parametrize("how", HOW)
def test_each_cycle_is_made_exactly_once(how, dataset, made, strike, scratch):
    for at in moments():
        run = Run(dataset, scratch / f"{at}" / "data", strike)
        status, struck = run.produce(struck_at=at, **HOW[how])
        if not struck:
            break
        where = f"{how} at call {at}: status {status}, {run.said}"
        assert status == KILLED if how == "killed" else status in (OK, SYSTEM), where
        if how == "failing_once":
            assert not (run.cache / "subproc.alive").exists(), where
        assert all(made[42][name] == files for name, files in run.content().items()), where
        seen = run.consume()
        assert run.produce("--resume")[0] == OK, f"{where}; then {run.said}"
        assert all(made[42][name] == files for name, files in run.content().items()), where
        assert (run.cache / "eval_data").exists() and leftovers(run.cache) == [], where
        assert seen + run.consume() == list(range(CYCLES)), where
        shutil.rmtree(run.folder.parent)
    assert at > 60, "few calls were struck: the test tests little"


@pytest.mark.parametrize("how", HOW)
def test_force_leaves_complete_folders_or_none(how, dataset, made, strike, scratch):
    both = [made[1], made[42]]
    for at in moments():
        run = Run(dataset, scratch / f"{at}" / "data", strike)
        assert run.produce(seed=1)[0] == OK
        status, struck = run.produce("--force", struck_at=at, **HOW[how])
        if not struck:
            break
        where = f"{how} at call {at}: status {status}, {run.said}"
        assert all(files in [run_made.get(name) for run_made in both] for name, files in run.content().items()), where
        # Either the new run, which continues, or a mixture of both, which is refused.
        resumed = run.produce("--resume")[0]
        assert resumed in (OK, USAGE), f"{where}; then {run.said}"
        if resumed == OK:
            assert run.content() == made[42], where
        assert run.produce("--force")[0] == OK, f"{where}; then {run.said}"
        assert run.content() == made[42] and leftovers(run.cache) == [], where
        shutil.rmtree(run.folder.parent)
    assert at > 60, "few calls were struck: the test tests little"


@pytest.mark.parametrize("cycle", range(CYCLES))
def test_starts_that_are_refused_do_not_lose_an_unpublished_cycle(cycle, dataset, made, strike, scratch):
    # Killed after the note and before publication, with a cycle of an earlier producer still present.
    run = Run(dataset, scratch / "data", strike)
    publication = {"STRIKE_WITH": "KILL", "STRIKE_CALL": "renameat2"}
    assert run.produce("--no-eval", struck_at=cycle + 1, **publication) == (KILLED, True)
    assert f'"next_cycle": {cycle + 1}' in (run.cache / "producer.json").read_text()
    for arguments in ((), ("--resume", "--num-neg", 7), ("--resume", "--batch-size", 0)):
        assert run.produce("--no-eval", *arguments)[0] == USAGE
    seen = run.consume()
    assert seen == list(range(cycle))
    # Killed again while the next producer takes the number back.
    assert run.produce("--no-eval", "--resume", struck_at=1, **{**publication, "STRIKE_CALL": "rename"})[0] == KILLED
    assert run.produce("--no-eval", "--resume")[0] == OK
    assert run.consume() == list(range(cycle, CYCLES))

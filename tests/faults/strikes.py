"""Runs the program again and again, each time with one system call struck, and judges what is left on disk.

A strike is a system call, which of its calls, and a fault: SIGKILL instead of it, or an error number from it. Outputs
are pure functions of the arguments, so that each must be, byte for byte, what was there before or what an undisturbed
run makes; and judge.py has read the latter. Usage: strikes.py [--every N] [--scenario NAME] [--fault NAME]
"""

import argparse
import collections
import dataclasses
import errno
import functools
import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))

import judge  # noqa: E402
from program import PROGRAM, digests, leftovers, negpipe, works, write_ratings  # noqa: E402

FAULTS = ("KILL", "EIO", "ENOSPC", "EINTR", "ENOMEM")
KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
STATUSES = {*range(9), 127, 130}  # 127: the loader of shared libraries was struck
PATIENCE_SECONDS = 60

# Calls that belong to the start and the end of any process, or do not return.
NOT_STRUCK = {"execve", "arch_prctl", "set_tid_address", "exit_group", "exit", "rt_sigreturn", "restart_syscall"}
# The C library aborts where one of these fails in a way that no kernel knows.
ONLY_KILLED = {"brk", "futex", "set_robust_list", "rseq", "rt_sigaction", "rt_sigprocmask"}
# Where one of these fails, what it was to remove or to look at may stay behind; the next run clears it.
REMOVING = {"unlink", "unlinkat", "rmdir", "remove", "getdents64", "opendir", "openat", "open", "newfstatat", "fstat",
            "statx", "lstat", "stat", "renameat2", "rename", "close", "fcntl", "flock", "brk", "mmap", "munmap", "read"}

# What a producer may leave: its next one takes it over or clears it.
KEPT = re.compile(r"_ncf_recommendation_cache/\.(partial|in-use)(/|$)")

SMALL = ("--batch-size", 256, "--num-neg", 1, "--eval-negatives", 9, "--eval-batch-size", 100, "--readers", 2)
QUIET = ("--threads", 1, "--quiet")


@dataclasses.dataclass(frozen=True)
class Strike:
    call: str
    when: int
    fault: str

    def __str__(self):
        return f"{self.call}:{self.when}:{self.fault}"


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command line and the outputs it publishes, relative to the workspace in which it runs."""

    name: str
    arguments: tuple
    outputs: tuple
    before: tuple = ()  # the command that made what is there when the program starts
    again: tuple = ("--force",)  # what makes the outputs whole after any end

    @property
    def replaces(self):
        return "--force" in self.arguments


def _scenarios():
    ratings = ("prepare", "ratings.csv", "--out", "data", *QUIET)
    synth = ("synth", "--users", 12, "--items", 90, "--positives", 300, "--out", "data", "--csv", "data.csv", *QUIET)
    generate = ("generate", "dataset", "--out", "run", "--cycles", 1, *SMALL, *QUIET)
    produce = ("produce", "dataset", "--data-dir", ".", "--cache-id", "c", "--cycles-ahead", 9, "--parent", 0,
               "--timeout", 20, *SMALL, *QUIET)
    seeds = (("--seed", 1), ("--seed", 2))
    folders = ("run/training_epochs/cycle_00000", "run/eval_data")
    cache = "c_ncf_recommendation_cache"
    cached = (f"{cache}/training_epochs/cycle_00000", f"{cache}/training_epochs/cycle_00001", f"{cache}/eval_data")
    force, zipped = ("--force",), ("--compression", "gzip")
    two = ("--cycles", 2)
    yield Scenario("prepare", ratings, ("data",))
    yield Scenario("prepare_force", (*ratings, *force), ("data",), before=(*ratings, "--min-ratings", 22))
    yield Scenario("prepare_gzip", ("prepare", "ratings.csv.gz", *ratings[2:]), ("data",))
    yield Scenario("synth", (*synth, *seeds[1]), ("data", "data.csv"))
    yield Scenario("synth_force", (*synth, *seeds[1], *force), ("data", "data.csv"), before=(*synth, *seeds[0]))
    yield Scenario("generate", (*generate, *seeds[1]), folders)
    yield Scenario("generate_force", (*generate, *seeds[1], *force), folders, before=(*generate, *seeds[0]))
    yield Scenario("generate_gzip", (*generate, *seeds[1], *zipped), folders)
    yield Scenario("generate_gzip_force", (*generate, *seeds[1], *zipped, *force), folders,
                   before=(*generate, *seeds[0], *zipped))
    yield Scenario("produce", (*produce, *seeds[1], *two), cached, again=("--resume",))
    yield Scenario("produce_gzip", (*produce, *seeds[1], *two, *zipped), cached, again=("--resume",))
    yield Scenario("produce_resume", (*produce, *seeds[1], *two, "--resume"), cached,
                   before=(*produce, *seeds[1], "--cycles", 1), again=())
    yield Scenario("produce_force", (*produce, *seeds[1], *two, *force), cached,
                   before=(*produce, *seeds[0], *two), again=())


SCENARIOS = {scenario.name: scenario for scenario in _scenarios()}


def state(path):
    """What stands at an output: None, or the digests of its files."""
    if path.is_dir():
        return digests(path)
    return {"": digests(path.parent, path.name)[path.name]} if path.exists() else None


def run(arguments, folder, prefix=(), environment=None):
    command = [*prefix, PROGRAM, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE_SECONDS, check=False)


# ---- two ways to strike


class Strace:
    """By strace's injection: any system call."""

    def calls(self, arguments, folder):
        """{call: how often it is made} of an undisturbed run."""
        log = folder / "calls.log"
        outcome = run(arguments, folder, ("strace", "-f", "-o", log))
        assert outcome.returncode == 0, outcome.stderr
        # strace counts the calls of each thread by themselves.
        calls = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
        most = {}
        for (_, name), count in calls.items():
            most[name] = max(most.get(name, 0), count)
        return {name: count for name, count in most.items() if name not in NOT_STRUCK}

    def strike(self, strike, arguments, folder):
        fault = "signal=KILL" if strike.fault == "KILL" else f"error={strike.fault}"
        prefix = ("strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={strike.call}", "-e",
                  f"inject={strike.call}:{fault}:when={strike.when}")
        return run(arguments, folder, prefix)


class Preload:
    """By a preloaded library: the calls of the C library that failing_calls.c knows."""

    def __init__(self, library):
        self._environment = {**os.environ, "LD_PRELOAD": str(library)}

    def calls(self, arguments, folder):
        log = folder / "calls.log"
        outcome = run(arguments, folder, environment={**self._environment, "FAULT_LOG": str(log)})
        assert outcome.returncode == 0, outcome.stderr
        return collections.Counter(log.read_text().split())

    def strike(self, strike, arguments, folder):
        number = 0 if strike.fault == "KILL" else getattr(errno, strike.fault)
        return run(arguments, folder, environment={**self._environment, "FAULT_CALL": strike.call,
                                                   "FAULT_WHEN": str(strike.when), "FAULT_ERROR": str(number)})


def striker():
    """Strace where it can trace here, else the preloaded library that NEGPIPE_FAILING_CALLS names, else None."""
    if works("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=openat", "true"):
        return Strace()
    library = pathlib.Path(os.environ.get("NEGPIPE_FAILING_CALLS", ""))
    return Preload(library) if library.is_file() and os.environ.get("NEGPIPE_SANITIZED") != "1" else None


# ---- judging


class Arena:
    """Inputs, and for each scenario what stands there before it and after it, undisturbed and judged."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._inputs = self.root / "inputs"
        self._inputs.mkdir(parents=True)
        write_ratings(self._inputs / "ratings.csv", users=12, items=120)
        with gzip.GzipFile(self._inputs / "ratings.csv.gz", "wb", mtime=0) as packed:
            packed.write((self._inputs / "ratings.csv").read_bytes())
        negpipe("prepare", self._inputs / "ratings.csv", "--out", self._inputs / "dataset", "--quiet")
        self._data = judge.Dataset(self._inputs / "dataset")

    @functools.cache
    def start(self, scenario):
        """A folder with what is there before the scenario runs; to be copied."""
        folder = self.root / f"{scenario.name}-start"
        shutil.copytree(self._inputs, folder)
        if scenario.before:
            outcome = run(scenario.before, folder)
            assert outcome.returncode == 0, outcome.stderr
        return folder

    @functools.cache
    def states(self, scenario):
        """{output: (before, after)}"""
        start = self.start(scenario)
        after = self.fresh(scenario)
        outcome = run(scenario.arguments, after)
        assert outcome.returncode == 0, outcome.stderr
        self._judge(after)
        return {name: (state(start / name), state(after / name)) for name in scenario.outputs}

    def _judge(self, folder):
        if (folder / "data").exists():
            judge.Dataset(folder / "data")
        for name in ("run", "c_ncf_recommendation_cache"):
            if (folder / name).exists():
                judge.check_run(folder / name, self._data)

    def fresh(self, scenario):
        folder = self.root / f"{scenario.name}-work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.start(scenario), folder, symlinks=True)
        return folder

    def complaints(self, scenario, strike, outcome, folder):
        """What is wrong after a run that was struck."""
        status = outcome.returncode
        if status not in KILLED | STATUSES:
            yield f"ended with {status}"
        if status in KILLED and strike.fault != "KILL":
            yield "was killed, but not by the strike"
        for name, (before, after) in self.states(scenario).items():
            found = state(folder / name)
            if found == after or (found == before and status != 0):
                continue
            consumed = scenario.name == "produce_force" and found is None and status != 0
            if not consumed:  # a cache that is replaced is cleared before it is filled
                yield f"{name} is neither as before nor whole" if status else f"{name} is not whole, but status is 0"
        if status not in KILLED and not (strike.call in REMOVING and status != 0):
            left = [path for path in leftovers(folder) if not KEPT.search(path)]
            if left:
                yield f"left {left}"

    def recovery_complaints(self, scenario, folder):
        """What is wrong after the same command was run again, undisturbed."""
        again = [] if set(scenario.again) <= set(scenario.arguments) else scenario.again
        outcome = run((*scenario.arguments, *again), folder)
        if outcome.returncode != 0:
            yield f"the next run ended with {outcome.returncode}: {outcome.stderr.strip()[-300:]}"
        for name, (_, after) in self.states(scenario).items():
            if outcome.returncode == 0 and state(folder / name) != after:
                yield f"{name} is not whole after the next run"

    def strike(self, by, scenario, strike):
        """Strikes once. Returns (status, complaints)."""
        self.states(scenario)
        folder = self.fresh(scenario)
        try:
            outcome = by.strike(strike, scenario.arguments, folder)
        except subprocess.TimeoutExpired:
            return "hangs", [f"runs longer than {PATIENCE_SECONDS} s"]
        found = list(self.complaints(scenario, strike, outcome, folder))
        if outcome.returncode != 0:
            found += self.recovery_complaints(scenario, folder)
        said = outcome.stderr.strip()[-200:]
        return outcome.returncode, [f"{complaint} ({said})" for complaint in found]

    def strikes(self, by, scenario, fault):
        """All strikes of a kind."""
        calls = by.calls(scenario.arguments, self.fresh(scenario))
        return [Strike(call, when, fault) for call, count in sorted(calls.items()) for when in range(1, count + 1)
                if fault == "KILL" or not (call in ONLY_KILLED or (call, when) == ("mmap", 1))]  # the loader's own


def scratch_folder():
    """Where a sync costs nothing, if there is such a place."""
    memory = pathlib.Path("/dev/shm")
    return tempfile.mkdtemp(prefix="negpipe-faults-", dir=memory if os.access(memory, os.W_OK) else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="of so many strikes, one")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--fault", choices=FAULTS, action="append")
    options = parser.parse_args()
    by = striker()
    if by is None:
        print("SKIPPED: neither strace nor a preloaded library can be used here")
        sys.exit(77)
    root = scratch_folder()
    total = failed = 0
    try:
        arena = Arena(pathlib.Path(root) / "arena")
        for name in options.scenario or SCENARIOS:
            for fault in options.fault or FAULTS:
                statuses = collections.Counter()
                bad = 0
                for strike in arena.strikes(by, SCENARIOS[name], fault)[:: options.every]:
                    status, complaints = arena.strike(by, SCENARIOS[name], strike)
                    statuses[status] += 1
                    bad += bool(complaints)
                    for complaint in complaints:
                        print(f"BAD {name} {strike}: {complaint}", flush=True)
                print(f"{name} {fault}: {statuses.total()} strikes, {bad} bad, by status "
                      f"{dict(sorted(statuses.items(), key=str))}", flush=True)
                total, failed = total + statuses.total(), failed + bad
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{total} strikes, {failed} bad")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

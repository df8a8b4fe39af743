"""Runs the program repeatedly, each time with one failing system call, and checks the state on disk.

A strike is a system call, the number of the call, and a fault: SIGKILL instead of it, or an error number from it.
Outputs are pure functions of the arguments, so each must equal, byte for byte, its state before the run or the output
of an undisturbed run, which independent_reader.py has checked. Usage: strikes.py [--every N] [--scenario NAME]
[--fault NAME]
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

import independent_reader  # noqa: E402
from program import PROGRAM, digests, leftovers, negpipe, works, write_ratings  # noqa: E402

FAULTS = ("KILL", "EIO", "ENOSPC", "EINTR", "ENOMEM")
KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
STATUSES = {*range(9), 127, 130}  # 127: the call of the dynamic loader failed
PATIENCE_SECONDS = 60

# Calls at the start and the end of every process, or that do not return.
NOT_STRUCK = {"execve", "arch_prctl", "set_tid_address", "exit_group", "exit", "rt_sigreturn", "restart_syscall"}
# The C library aborts if one of these fails with an error that no kernel returns.
ONLY_KILLED = {"brk", "futex", "set_robust_list", "rseq", "rt_sigaction", "rt_sigprocmask"}
# If one of these fails, the file it should remove or inspect may stay; the next run removes it.
REMOVING = {"unlink", "unlinkat", "rmdir", "remove", "getdents64", "opendir", "openat", "open", "newfstatat", "fstat",
            "statx", "lstat", "stat", "renameat2", "rename", "close", "fcntl", "flock", "brk", "mmap", "munmap", "read"}

# Files that a producer and a part may leave: the next run uses or removes them.
KEPT = re.compile(r"_ncf_recommendation_cache/\.(partial|in-use)(/|$)|\.parts-[0-9a-f]{32}(/(?!\.)|$)")

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
    before: tuple = ()  # the command that makes the existing output
    again: tuple = ("--force",)  # options that complete the outputs after any end
    finish: tuple = ()  # the command that publishes what the scenario made

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
    part, publish = (*generate, *seeds[1], "--part", "0/1"), ("publish", "run", "--quiet")
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
    yield Scenario("generate_part", part, folders, again=(), finish=publish)
    yield Scenario("publish", publish, folders, before=part, again=())
    yield Scenario("produce", (*produce, *seeds[1], *two), cached, again=("--resume",))
    yield Scenario("produce_gzip", (*produce, *seeds[1], *two, *zipped), cached, again=("--resume",))
    yield Scenario("produce_resume", (*produce, *seeds[1], *two, "--resume"), cached,
                   before=(*produce, *seeds[1], "--cycles", 1), again=())
    yield Scenario("produce_force", (*produce, *seeds[1], *two, *force), cached,
                   before=(*produce, *seeds[0], *two), again=())


SCENARIOS = {scenario.name: scenario for scenario in _scenarios()}


def state(path):
    """Returns the state of an output: None, or the digests of its files."""
    if path.is_dir():
        return digests(path)
    return {"": digests(path.parent, path.name)[path.name]} if path.exists() else None


def run(arguments, folder, prefix=(), environment=None):
    command = [*prefix, PROGRAM, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE_SECONDS, check=False)


# ---- two ways to make system calls fail


class Strace:
    """Injects failures with strace: any system call."""

    def calls(self, arguments, folder):
        """Returns {call: number of calls} of an undisturbed run."""
        log = folder / "calls.log"
        outcome = run(arguments, folder, ("strace", "-f", "-o", log))
        assert outcome.returncode == 0, outcome.stderr
        # strace counts per thread.
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
    """Injects failures with a preloaded library: the calls of the C library in failing_calls.c."""

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
    """Returns strace if it can trace here, otherwise the library that NEGPIPE_FAILING_CALLS names, otherwise None."""
    if works("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=openat", "true"):
        return Strace()
    library = pathlib.Path(os.environ.get("NEGPIPE_FAILING_CALLS", ""))
    return Preload(library) if library.is_file() and os.environ.get("NEGPIPE_SANITIZED") != "1" else None


# ---- checking


class Arena:
    """Inputs, and the checked state before and after each scenario without failures."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._inputs = self.root / "inputs"
        self._inputs.mkdir(parents=True)
        write_ratings(self._inputs / "ratings.csv", users=12, items=120)
        with gzip.GzipFile(self._inputs / "ratings.csv.gz", "wb", mtime=0) as packed:
            packed.write((self._inputs / "ratings.csv").read_bytes())
        negpipe("prepare", self._inputs / "ratings.csv", "--out", self._inputs / "dataset", "--quiet")
        self._data = independent_reader.Dataset(self._inputs / "dataset")

    @functools.cache
    def start(self, scenario):
        """Returns a folder with the state before the scenario. Must be copied."""
        folder = self.root / f"{scenario.name}-start"
        shutil.copytree(self._inputs, folder)
        if scenario.before:
            outcome = run(scenario.before, folder)
            assert outcome.returncode == 0, outcome.stderr
        return folder

    @functools.cache
    def states(self, scenario):
        """Returns {output: (before, after)}."""
        start = self.start(scenario)
        after = self.fresh(scenario)
        outcome = run(scenario.arguments, after)
        assert outcome.returncode == 0, outcome.stderr
        assert not scenario.finish or run(scenario.finish, after).returncode == 0
        self._check_content(after)
        return {name: (state(start / name), state(after / name)) for name in scenario.outputs}

    def _check_content(self, folder):
        if (folder / "data").exists():
            independent_reader.Dataset(folder / "data")
        for name in ("run", "c_ncf_recommendation_cache"):
            if (folder / name).exists():
                independent_reader.check_run(folder / name, self._data)

    def fresh(self, scenario):
        folder = self.root / f"{scenario.name}-work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.start(scenario), folder, symlinks=True)
        return folder

    def problems(self, scenario, strike, outcome, folder):
        """Returns errors after a run with a failure."""
        status = outcome.returncode
        if status not in KILLED | STATUSES:
            yield f"ended with {status}"
        if status in KILLED and strike.fault != "KILL":
            yield "was killed, but not by the strike"
        for name, (before, after) in self.states(scenario).items():
            found = state(folder / name)
            if found == after or (found == before and (status != 0 or scenario.finish)):
                continue
            consumed = scenario.name == "produce_force" and found is None and status != 0
            if not consumed:  # a replaced cache is cleared before it is filled
                yield f"{name} is neither as before nor complete" if status else f"{name} is incomplete, status 0"
        if status not in KILLED and "--csv" in scenario.arguments:
            # Which outputs are new: all or none, even if the last sync failed.
            new = {state(folder / name) == after for name, (_, after) in self.states(scenario).items()}
            if len(new) > 1:
                yield "one output was published without the other"
        if status not in KILLED and not (strike.call in REMOVING and status != 0):
            left = [path for path in leftovers(folder) if not KEPT.search(path)]
            if left:
                yield f"left {left}"

    def recovery_problems(self, scenario, folder):
        """Returns errors after the same command ran again without failures."""
        again = [] if set(scenario.again) <= set(scenario.arguments) else scenario.again
        outcome = run((*scenario.arguments, *again), folder)
        if outcome.returncode != 0:
            yield f"the next run ended with {outcome.returncode}: {outcome.stderr.strip()[-300:]}"
        if scenario.finish and outcome.returncode == 0:
            outcome = run(scenario.finish, folder)
            if outcome.returncode != 0:
                yield f"cannot be published: {outcome.stderr.strip()[-300:]}"
        for name, (_, after) in self.states(scenario).items():
            if outcome.returncode == 0 and state(folder / name) != after:
                yield f"{name} is not complete after the next run"

    def strike(self, by, scenario, strike):
        """Runs once with a failure. Returns (status, errors)."""
        self.states(scenario)
        folder = self.fresh(scenario)
        try:
            outcome = by.strike(strike, scenario.arguments, folder)
        except subprocess.TimeoutExpired:
            return "hangs", [f"runs longer than {PATIENCE_SECONDS} s"]
        found = list(self.problems(scenario, strike, outcome, folder))
        if outcome.returncode != 0:
            found += self.recovery_problems(scenario, folder)
        said = outcome.stderr.strip()[-200:]
        return outcome.returncode, [f"{problem} ({said})" for problem in found]

    def strikes(self, by, scenario, fault):
        """Runs with all failures of a kind."""
        calls = by.calls(scenario.arguments, self.fresh(scenario))
        return [Strike(call, when, fault) for call, count in sorted(calls.items()) for when in range(1, count + 1)
                if fault == "KILL" or not (call in ONLY_KILLED or (call, when) == ("mmap", 1))]  # the loader's own


def scratch_folder():
    """Returns a folder in which syncs are free, if there is one."""
    memory = pathlib.Path("/dev/shm")
    return tempfile.mkdtemp(prefix="negpipe-faults-", dir=memory if os.access(memory, os.W_OK) else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="make one in this number of strikes")
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
                    status, problems = arena.strike(by, SCENARIOS[name], strike)
                    statuses[status] += 1
                    bad += bool(problems)
                    for problem in problems:
                        print(f"BAD {name} {strike}: {problem}", flush=True)
                print(f"{name} {fault}: {statuses.total()} strikes, {bad} bad, by status "
                      f"{dict(sorted(statuses.items(), key=str))}", flush=True)
                total, failed = total + statuses.total(), failed + bad
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{total} strikes, {failed} bad")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""Simulates power cuts: kills the program at a system call, copies the disk at that moment, and reads the copy.

The disk is an image of a file system on a loop device. Unsynced writes of the program are only in memory, so a copy of
the image is the disk after a power cut; mounting the copy recovers it as after a crash. Needs root and loop devices.

Usage: power_cuts.py [--every N]
"""

import argparse
import contextlib
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import strikes
from strikes import SCENARIOS, Strike, state

IMAGE_BYTES = 24 << 20
CUT = ("generate", "generate_force", "generate_gzip", "prepare", "prepare_force", "synth", "produce")
MAKERS = {"ext4": ("mkfs.ext4", "-q", "-F"), "btrfs": ("mkfs.btrfs", "-q", "-f"), "xfs": ("mkfs.xfs", "-q", "-f")}
# Only these calls can make new data durable or visible.
MOMENTS = ("fsync", "rename", "renameat2", "mkdir", "pwrite64", "write")


def _call(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def mounted(image, folder):
    folder.mkdir(exist_ok=True)
    _call("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        _call("umount", folder)


def cannot_cut(kind="ext4"):
    """Returns why this machine cannot run the test, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not shutil.which(MAKERS[kind][0]) or not shutil.which("strace"):
        return f"there is no {MAKERS[kind][0]} or no strace"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            make_image(kind, pathlib.Path(scratch) / "image")
            with mounted(pathlib.Path(scratch) / "image", pathlib.Path(scratch) / "disk"):
                return None
        except subprocess.CalledProcessError as failure:
            return f"a {kind} image cannot be mounted here: {failure.stderr.decode().strip()}"


def make_image(kind, path):
    with open(path, "wb") as image:
        image.truncate(IMAGE_BYTES if kind == "ext4" else 384 << 20)
    _call(*MAKERS[kind], path)


def take(image, to):
    """Copies an image in one consistent state: repeats the copy if the journal was committed meanwhile."""
    for _ in range(10):
        shutil.copyfile(image, to)
        if filecmp.cmp(image, to, shallow=False):
            return
    raise RuntimeError(f"{image} changes during every copy")


class Machine:
    """A disk with the inputs of a scenario on it, synced."""

    def __init__(self, arena, scenario, root, kind="ext4"):
        self._arena = arena
        self._scenario = scenario
        self._root = pathlib.Path(root)
        self._states = arena.states(scenario)
        self._clean = self._root / "clean"
        make_image(kind, self._clean)
        with mounted(self._clean, self._root / "disk") as disk:
            shutil.copytree(arena.start(scenario), disk / "work")

    def calls(self, by):
        calls = by.calls(self._scenario.arguments, self._arena.fresh(self._scenario))
        return [Strike(call, when, "KILL") for call in MOMENTS for when in range(1, calls.get(call, 0) + 1)]

    def cut(self, by, strike):
        """Cuts the power at a call. Returns errors of the disk afterwards."""
        running, lost = self._root / "running", self._root / "lost"
        shutil.copyfile(self._clean, running)
        with mounted(running, self._root / "disk") as disk:
            by.strike(strike, self._scenario.arguments, disk / "work")
            take(running, lost)
        with mounted(lost, self._root / "disk") as disk:
            return list(self._problems(disk / "work"))

    def finish(self, prefix=()):
        """Cuts the power right after a successful run. Returns the lost outputs."""
        running, lost = self._root / "running", self._root / "lost"
        shutil.copyfile(self._clean, running)
        with mounted(running, self._root / "disk") as disk:
            outcome = strikes.run(self._scenario.arguments, disk / "work", prefix)
            take(running, lost)
        assert outcome.returncode == 0, outcome.stderr
        with mounted(lost, self._root / "disk") as disk:
            return [f"{name} is lost, though the run had ended" for name, (_, after) in self._states.items()
                    if state(disk / "work" / name) != after]

    def _problems(self, work):
        for name, (before, after) in self._states.items():
            if state(work / name) not in (before, after):
                yield f"{name} is neither as before nor complete"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="test one in this number of moments")
    options = parser.parse_args()
    by = strikes.striker()
    cuts = bad = 0
    root = strikes.scratch_folder()
    try:
        arena = strikes.Arena(pathlib.Path(root) / "arena")
        for kind in MAKERS:
            reason = cannot_cut(kind)
            if reason or by is None:
                print(f"SKIPPED: {kind}: {reason or 'there is no strace'}")
                continue
            for name in CUT:
                with tempfile.TemporaryDirectory() as scratch:
                    machine = Machine(arena, SCENARIOS[name], scratch, kind)
                    found = [("the end", machine.finish())]
                    found += [(strike, machine.cut(by, strike)) for strike in machine.calls(by)[:: options.every]]
                for moment, problems in found:
                    bad += bool(problems)
                    for problem in problems:
                        print(f"BAD {kind} {name} {moment}: {problem}", flush=True)
                cuts += len(found)
                print(f"{kind} {name}: {len(found)} cuts", flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{cuts} cuts, {bad} bad")
    sys.exit(77 if cuts == 0 else 1 if bad else 0)


if __name__ == "__main__":
    main()

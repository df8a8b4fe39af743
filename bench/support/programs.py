"""What the comparisons share: their options, and running and timing of programs."""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")


def parser(doc, build, like="ml-20m", repeats=5):
    """Returns an argument parser with the options that all comparisons have; build describes --build."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument("--build", required=True, help=build)
    options.add_argument("--like", default=like, help="shape of the synthetic dataset")
    options.add_argument("--repeats", type=int, default=repeats)
    options.add_argument("--save", default=None, metavar="NAME", help="write bench/results/NAME.json")
    return options


@dataclasses.dataclass
class Run:
    """A finished process: elapsed and processor seconds, peak resident memory, standard output, and peak
    temporary space (sampled)."""

    seconds: float
    processor_seconds: float
    peak_memory_bytes: int
    output: str
    temporary_bytes: int = 0


def unnamed_bytes(pid):
    """Returns the disk space of the unnamed files that a process has open."""
    total = 0
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                status = os.stat(entry.path)
                total += 0 if status.st_nlink else status.st_blocks * 512
    return total


def folder_bytes(folder):
    """Returns the disk space of the files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
    return total


def run(command, temporary=unnamed_bytes):
    """Runs a command to its end. Exits the program if it fails. temporary: returns the temporary space of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ended = threading.Event()
    peak = [0]

    def sample():
        while not ended.wait(0.2):
            peak[0] = max(peak[0], temporary(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    ended.set()
    sampler.join()
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output, peak[0])


def last_json(command):
    """Runs a command and returns the JSON object at the end of its standard output."""
    return json_in(run(command).output)


def json_in(output):
    return json.loads(output[output.index("{"):])


def synthesize(program, like, out, *more):
    """Makes a synthetic dataset."""
    run([program, "synth", "--like", like, "--out", out, "--seed", "1", "--quiet", *more])


def points_in_memory(build, shape):
    """Returns the training points per second that negpipe makes in memory on all cores."""
    report = last_json([os.path.join(build, "bench", "points_bench"), "--benchmark_format=json",
                        f"--benchmark_filter=points/{shape}/bitset/all_cores"])
    return report["benchmarks"][0]["points/s"]

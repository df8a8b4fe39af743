"""Runs the measured programs and reads their summaries."""

import json
import os
import subprocess


def last_json(command):
    """The summary that a program printed: a JSON object at the end of standard output."""
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out[out.index("{"):])


def points_in_memory(build, shape):
    """Training points per second that negpipe makes in memory on all cores."""
    report = last_json([os.path.join(build, "bench", "points_bench"), "--benchmark_format=json",
                        f"--benchmark_filter=points/{shape}/bitset/all_cores"])
    return report["benchmarks"][0]["points/s"]

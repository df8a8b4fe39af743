"""Runs programs that are measured, and reads what they say of themselves."""

import json
import os
import subprocess


def last_json(command):
    """What a program printed as its summary: a JSON object, the last thing on standard output."""
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out[out.index("{"):])


def points_in_memory(build, shape):
    """Training points a second that negpipe makes on all cores, written nowhere."""
    report = last_json([os.path.join(build, "bench", "points_bench"), "--benchmark_format=json",
                        f"--benchmark_filter=points/{shape}/bitset/all_cores"])
    return report["benchmarks"][0]["points/s"]

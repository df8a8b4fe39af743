"""Runs the program negpipe and inspects its output on disk."""

import functools
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import time

import pytest

PROGRAM = os.environ["NEGPIPE_PROGRAM"]
SUBCOMMANDS = ("prepare", "synth", "info", "generate", "verify", "hash")

# Exit statuses of host/cli/main.cpp.
OK, FOUND_FAILURES, USAGE, BAD_INPUT, BAD_DATA, INFEASIBLE, SYSTEM, BACKEND = range(8)
INTERRUPTED = 130

# Options that suit the small dataset: batches of a few hundred, 20 negatives for each evaluated user.
# Upper bound on a busy machine; the tests need much less.
PATIENCE_SECONDS = 60
SMALL = ("--batch-size", 512, "--eval-negatives", 20, "--eval-batch-size", 210, "--readers", 3)

# The shape of a small synthetic dataset.
SHAPE = ("--users", 50, "--items", 100, "--positives", 1500)


def small(*overrides):
    """Returns SMALL with other values for some of its options, or with more options."""
    options = dict(zip(SMALL[::2], SMALL[1::2]))
    more = []
    words = iter(overrides)
    for word in words:
        if word in options:
            options[word] = next(words)
        else:
            more.append(word)
    return (*(part for option in options.items() for part in option), *more)


def negpipe(*arguments, expect=OK, **options):
    """Runs the program and returns its result; its exit status must be the expected one."""
    command = [PROGRAM, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, check=False,
                            **options)
    assert result.returncode == expect, (
        f"{' '.join(command)}: status {result.returncode}, wanted {expect}\n{result.stdout}\n{result.stderr}")
    return result


def refuses(status, *arguments, naming, **options):
    """Runs the program, which must fail with this status and a message on standard error with all the given words."""
    result = negpipe(*arguments, expect=status, **options)
    assert result.stdout == ""
    missing = [str(word) for word in naming if str(word) not in result.stderr]
    assert not missing, f"{missing} not in the message: {result.stderr}"
    return result.stderr


def start(*arguments, prefix=(), **options):
    return subprocess.Popen([*prefix, PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, stdin=subprocess.DEVNULL, **options)


def wait_until(condition, what, patience=PATIENCE_SECONDS, every=0.002):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience} s for {what}"
        time.sleep(every)


def preloading(variable):
    """Returns an environment that preloads the library that a variable names, or skips the test."""
    library = os.environ.get(variable, "")
    if os.environ.get("NEGPIPE_SANITIZED") == "1":
        pytest.skip("a sanitizer's runtime must be loaded before the libraries that a test preloads")
    if not pathlib.Path(library).is_file():
        pytest.skip(f"there is no {library or variable}: run this test by CTest")
    return {**os.environ, "LD_PRELOAD": library}


@functools.cache
def works(*command):
    return shutil.which(command[0]) and subprocess.run(command, capture_output=True, check=False).returncode == 0


def as_ordinary_user():
    """Returns a command prefix that drops root's permission to write everywhere."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not works(*prefix, "true"):
        pytest.skip("root may write everywhere, and setpriv cannot drop that right here")
    return prefix


def digests(folder, pattern="**/*"):
    """Returns the digests of the matching files below a folder, by relative path."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.glob(pattern)) if path.is_file()}


def leftovers(folder):
    """Returns hidden, partial or temporary entries below a folder, which a run must not leave."""
    return [str(path) for path in pathlib.Path(folder).rglob("*")
            if path.name.startswith(".") or "partial" in path.name or path.name.endswith((".temp", ".tmp", ".old"))]


def in_the_making(folder):
    return [path for path in folder.glob(".*") if "partial" in path.name] if folder.exists() else []


def write_ratings(path, users=60, items=300, seed=1):
    """Writes ratings of users with 25 to 60 items each, in the order of time. Returns the number of rows."""
    generator = random.Random(seed)
    rows = [(f"{100 + user},{1000 + item},{generator.randint(1, 5)}", generator.randrange(10**6))
            for user in range(users) for item in generator.sample(range(items), generator.randint(25, 60))]
    rows.sort(key=lambda row: row[1])
    pathlib.Path(path).write_text(
        "user_id,item_id,rating,timestamp\n" + "".join(f"{row},{time}\n" for row, time in rows))
    return len(rows)

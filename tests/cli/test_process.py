"""The program as a process: closed standard descriptors, and signals."""

import itertools
import os
import resource
import shutil
import signal
import subprocess

import pytest
from program import (INTERRUPTED, OK, PROGRAM, SHAPE, SMALL, SYSTEM, digests, in_the_making, leftovers, negpipe, start,
                     wait_until)

CLOSED = [closed for count in (1, 2, 3) for closed in itertools.combinations(range(3), count)]


def run_closed(closed, *arguments):
    """Runs the program with some standard descriptors closed. Returns its status."""
    redirections = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    command = ["sh", "-c", f'exec "$0" "$@" {redirections}', PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_nothing_is_printed_into_a_file_of_the_run(closed, ratings, dataset, run, tmp_path):
    # Without --quiet: printed output must be discarded.
    expected = {"data": digests(dataset), "run": digests(run)}
    assert run_closed(closed, "prepare", ratings, "--out", tmp_path / "data") == OK
    assert run_closed(closed, "generate", dataset, "--out", tmp_path / "run", "--cycles", 3, "--seed", 42, *SMALL) == OK
    assert {"data": digests(tmp_path / "data"), "run": digests(tmp_path / "run")} == expected
    synth = ("synth", *SHAPE, "--seed", 3, "--out")
    negpipe(*synth, tmp_path / "s1", "--csv", tmp_path / "s1.csv")
    assert run_closed(closed, *synth, tmp_path / "s2", "--csv", tmp_path / "s2.csv") == OK
    assert digests(tmp_path / "s2") == digests(tmp_path / "s1")
    assert (tmp_path / "s2.csv").read_bytes() == (tmp_path / "s1.csv").read_bytes()
    gzip = ("generate", dataset, "--seed", 42, *SMALL, "--compression", "gzip", "--out")
    negpipe(*gzip, tmp_path / "gzip1")
    assert run_closed(closed, *gzip, tmp_path / "gzip2") == OK
    assert digests(tmp_path / "gzip2") == digests(tmp_path / "gzip1")
    produce = ("produce", dataset, "--data-dir", tmp_path, "--cache-id", "c", "--cycles", 3, "--cycles-ahead", 9,
               "--seed", 42, "--parent", 0, *SMALL)
    assert run_closed(closed, *produce) == OK
    cache = tmp_path / "c_ncf_recommendation_cache"
    made = {name: digest for name, digest in digests(cache).items() if "/" in name}
    assert made == {name: digest for name, digest in expected["run"].items()}
    for reader in (("info", dataset), ("verify", dataset, run), ("hash", run)):
        assert run_closed(closed, *reader) == OK


# Signals whose default action ends a process, without faults of the program and SIGKILL.
ENDING = [number for number in signal.valid_signals()
          if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
                            signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS, signal.SIGCHLD, signal.SIGCONT,
                            signal.SIGURG, signal.SIGWINCH, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
          and number < signal.SIGRTMIN]


@pytest.mark.parametrize("number", ENDING, ids=lambda number: signal.Signals(number).name)
def test_a_signal_ends_every_run_and_leaves_nothing(number, dataset, tmp_path):
    long = ("--epochs-per-cycle", 100000, "--batch-size", 512, "--no-eval", "--threads", 1, "--quiet")
    cache = tmp_path / "c_ncf_recommendation_cache"
    runs = [(start("generate", dataset, "--out", tmp_path / "run", *long),
             lambda: in_the_making(tmp_path / "run/training_epochs")),
            (start("produce", dataset, "--data-dir", tmp_path, "--cache-id", "c", *long),
             lambda: in_the_making(cache / ".partial"))]
    for process, begun in runs:
        wait_until(lambda: begun() or process.poll() is not None, "the run to begin")
        process.send_signal(number)
    for process, _ in runs:
        assert process.wait(timeout=60) == INTERRUPTED, process.communicate()
    assert not (tmp_path / "run").exists()
    assert leftovers(tmp_path) == [] and not (cache / "subproc.alive").exists()


def test_a_closed_progress_pipe_ends_the_run(dataset, tmp_path):
    process = start("generate", dataset, "--out", tmp_path / "run", "--epochs-per-cycle", 100000, "--threads", 1,
                    "--no-eval")
    process.stderr.close()
    assert process.wait(timeout=120) == INTERRUPTED
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["prepare", "synth", "generate", "produce"])
def test_a_file_size_limit_is_a_system_error(command, commands, dataset, tmp_path):
    arguments = commands["cycle" if command == "generate" else command][0] if command != "produce" else (
        "produce", dataset, "--data-dir", tmp_path, "--cache-id", "c", "--parent", 0, *SMALL)
    limit = 100 if command in ("prepare", "synth") else 2000
    result = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert result.returncode == SYSTEM and "File too large" in result.stderr, result.stderr
    assert leftovers(tmp_path) == []


def test_an_ignored_sighup_stays_ignored(dataset, tmp_path):
    process = start("generate", dataset, "--out", tmp_path / "run", "--epochs-per-cycle", 400, "--no-eval", "--quiet",
                    prefix=["sh", "-c", 'trap "" HUP; exec "$0" "$@"'])
    wait_until(lambda: in_the_making(tmp_path / "run/training_epochs") or process.poll() is not None, "the beginning")
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=120) == OK


def test_a_record_file_that_is_truncated_under_a_reader_is_an_error(dataset, tmp_path):
    out = tmp_path / "run"
    negpipe("generate", dataset, "--out", out, "--seed", 1, "--epochs-per-cycle", 2000, "--no-eval", "--readers", 1,
            "--batch-size", 65536, "--quiet")
    file = out / "training_epochs/cycle_00000/train_0.tfrecords"
    process = start("verify", dataset, out, "--threads", 1)
    wait_until(lambda: file.name in open_files(process.pid) or process.poll() is not None, "the file to be opened")
    os.truncate(file, 70000)
    said = process.communicate(timeout=60)[1]
    assert process.returncode not in (OK, -signal.SIGBUS) and "negpipe:" in said, said
    shutil.rmtree(out)


def open_files(pid):
    try:
        with open(f"/proc/{pid}/maps") as maps:
            return maps.read() + " ".join(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return ""


def test_memory_does_not_grow_with_the_number_of_batches(dataset, sanitized, tmp_path):
    if sanitized:
        pytest.skip("a sanitizer needs more address space than the limit of this test")
    limit = 1 << 30  # four bytes per batch would take 4 GB
    process = start("generate", dataset, "--out", tmp_path / "run", "--batch-size", 1, "--epochs-per-cycle", 100_000,
                    "--no-eval", "--threads", 1, "--quiet",
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    wait_until(lambda: process.poll() is not None or any(
        file.stat().st_size for file in (tmp_path / "run/training_epochs").glob(".*/train_0.tfrecords")), "a record")
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == INTERRUPTED, said

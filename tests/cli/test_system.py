"""Errors of the operating system (no space, no permission, a signal) leave nothing incomplete."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

import pytest
from program import INTERRUPTED, PROGRAM, SMALL, SYSTEM, as_ordinary_user, digests, leftovers, negpipe, works

LARGE = ("--batch-size", 4096, "--eval-negatives", 20, "--eval-batch-size", 210, "--num-neg", 50)


def start(*arguments, **options):
    return subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            stdin=subprocess.DEVNULL, **options)


# ---- space

def on_full_disk(size, arguments, folder):
    """Runs the program with a file system of the given size mounted on folder. Lists the remaining entries last."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not works(*unshare, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"):
        pytest.skip("mounting a file system needs root or user namespaces, which are not available here")
    script = 'mount -t tmpfs -o "size=$1" tmpfs "$2"; shift 2; "$@"; status=$?; find "$where" -mindepth 1; exit $status'
    return subprocess.run([*unshare, "sh", "-c", script, "sh", str(size), str(folder), PROGRAM, *map(str, arguments)],
                          capture_output=True, text=True, check=False, env={**os.environ, "where": str(folder)})


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_no_space_for_records(compression, dataset, tmp_path):
    arguments = ("generate", dataset, "--out", tmp_path, *LARGE, "--no-eval", "--compression", compression, "--quiet")
    result = on_full_disk(300_000, arguments, tmp_path)
    assert result.returncode == SYSTEM, result.stderr
    assert "No space left on device" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("options", [(), ("--split", "ratio:0.8,0.2", "--k-core", "--min-item-ratings", 2)])
def test_no_space_for_the_temporary_files_of_prepare(options, ratings, tmp_path):
    arguments = ("prepare", ratings, "--out", tmp_path / "data", "--memory", 3000, *options)
    negpipe(*arguments, "--quiet")
    shutil.rmtree(tmp_path / "data")
    result = on_full_disk(16384, arguments, tmp_path)
    assert result.returncode == SYSTEM, result.stderr
    assert "of temporary space in " in result.stderr
    assert "No space left on device" in result.stderr
    assert result.stdout == "", "something is left"


def test_no_space_for_a_dataset(ratings, tmp_path):
    result = on_full_disk(8192, ("prepare", ratings, "--out", tmp_path / "data", "--quiet"), tmp_path)
    assert result.returncode == SYSTEM, result.stderr
    assert "No space left on device" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("size", [8192, 120_000])
def test_no_space_for_a_dataset_and_its_ratings(size, tmp_path):
    """The larger disk has space for the ratings, but not for the dataset."""
    shape = ("--users", 500, "--items", 90, "--positives", 5000, "--min-ratings", 5, "--seed", 1)
    result = on_full_disk(size, ("synth", *shape, "--out", tmp_path / "data", "--csv", tmp_path / "r.csv", "--quiet"),
                          tmp_path)
    assert result.returncode == SYSTEM, result.stderr
    assert "No space left on device" in result.stderr
    assert result.stdout == "", "something is left"


def test_cycles_before_the_disk_was_full_stay(dataset, tmp_path):
    size = sum(path.stat().st_size for path in dataset.iterdir())
    assert size < 100_000
    arguments = ("generate", dataset, "--out", tmp_path, *SMALL, "--cycles", 200, "--seed", 1, "--no-eval", "--quiet")
    result = on_full_disk(1_000_000, arguments, tmp_path)
    assert result.returncode == SYSTEM, result.stderr
    files = [pathlib.Path(line) for line in result.stdout.splitlines()]
    cycles = {file for file in files if file.name.startswith("cycle_")}
    assert cycles and cycles == {file.parent for file in files if file.name == "ready.json"}
    assert not [file for file in files if file.name.startswith(".")]


def test_a_file_larger_than_is_allowed(dataset, tmp_path):
    # Without restored signals the program inherits Python's ignored SIGXFSZ, and the write fails.
    limit = 200_000
    negpipe("generate", dataset, "--out", tmp_path / "run", *LARGE, "--no-eval", expect=SYSTEM, restore_signals=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert list(tmp_path.iterdir()) == []


# ---- permission

@pytest.mark.parametrize("subcommand", ["prepare", "synth", "generate"])
def test_a_folder_that_may_not_be_written(subcommand, ratings, dataset, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    arguments = {"prepare": (ratings,), "synth": ("--users", 50, "--items", 100, "--positives", 1500),
                 "generate": (dataset, *SMALL)}[subcommand]
    command = [*as_ordinary_user(), PROGRAM, subcommand, *map(str, arguments), "--out", str(folder / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == SYSTEM, result.stderr
    assert "Permission denied; choose a path that you may write to" in result.stderr and str(folder) in result.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("subcommand", ["prepare", "info", "verify", "hash"])
def test_a_file_that_may_not_be_read(subcommand, ratings, dataset, run, tmp_path):
    shutil.copy(ratings, tmp_path / "ratings.csv")
    shutil.copytree(dataset, tmp_path / "data")
    shutil.copytree(run, tmp_path / "run")
    arguments, locked = {
        "prepare": ((tmp_path / "ratings.csv", "--out", tmp_path / "new"), "ratings.csv"),
        "info": ((tmp_path / "data",), "data/user_offsets.npy"),
        "verify": ((tmp_path / "data", tmp_path / "run"), "run/training_epochs/cycle_00001/train_0.tfrecords"),
        "hash": ((tmp_path / "run",), "run/eval_data/ready.json")}[subcommand]
    (tmp_path / locked).chmod(0)
    command = [*as_ordinary_user(), PROGRAM, subcommand, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == SYSTEM, result.stderr
    assert f"cannot open {tmp_path / locked}: Permission denied\n" in result.stderr, "and no advice on writing"


def test_a_place_below_a_file(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    result = negpipe("generate", dataset, "--out", tmp_path / "file/run", *SMALL, expect=SYSTEM)
    assert str(tmp_path / "file") in result.stderr


# ---- signals

@pytest.fixture(scope="module")
def large_ratings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    negpipe("synth", "--users", 4000, "--items", 3000, "--positives", 400_000, "--seed", 1, "--out", folder / "data",
            "--csv", folder / "ratings.csv")
    return folder / "ratings.csv"


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_preparation_leaves_nothing(which, large_ratings, tmp_path):
    # The time to reach the middle of a run depends on the machine, so later moments are tried until one is right.
    # Before the handlers are installed the signal ends the program; after its end there is a dataset.
    statuses = []
    for attempt in range(200):
        out = tmp_path / f"data{attempt}"
        process = start("prepare", large_ratings, "--out", out)
        time.sleep(0.003 * (attempt + 1))
        process.send_signal(which)
        _, message = process.communicate(timeout=120)
        statuses.append(process.returncode)
        assert process.returncode in (0, -which, INTERRUPTED)
        assert out.exists() == (process.returncode == 0)
        assert leftovers(tmp_path) == []
        if process.returncode == INTERRUPTED:
            assert "interrupted" in message or "stopped" in message
            return
    pytest.fail(f"no attempt was interrupted in the middle: {statuses}")


def test_interrupted_generation_keeps_complete_cycles_only(dataset, tmp_path):
    run = tmp_path / "run"
    process = start("generate", dataset, "--out", run, "--cycles", 100_000, "--seed", 42, *SMALL)
    while not (run / "training_epochs/cycle_00002/ready.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert "interrupted" in message or "stopped" in message
    assert leftovers(run) == []
    cycles = sorted((run / "training_epochs").iterdir())
    assert all((cycle / "ready.json").exists() for cycle in cycles)
    negpipe("verify", dataset, run)

    # Continues the run where it stopped.
    evaluation = () if not (run / "eval_data").exists() else ("--no-eval",)
    negpipe("generate", dataset, "--out", run, "--first-cycle", len(cycles), "--seed", 42, *SMALL, *evaluation)
    negpipe("verify", dataset, run)


@pytest.mark.parametrize("mine", [".", "run", "run/training_epochs"])
def test_a_failed_run_removes_the_folders_it_created(mine, dataset, tmp_path):
    (tmp_path / mine).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    process = start("generate", dataset, "--out", tmp_path / "run", "--epochs-per-cycle", 100_000, *SMALL)
    while not list(tmp_path.glob("run/training_epochs/.cycle_00000*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert sorted(tmp_path.rglob("*")) == before


def test_the_maximum_number_of_cycles_starts_at_once(dataset, tmp_path):
    # All names are checked by one listing: checking each would take hours.
    run = tmp_path / "run"
    process = start("generate", dataset, "--out", run, "--cycles", 2**32, "--seed", 42, *SMALL, "--no-eval")
    deadline = time.monotonic() + 60
    while not (run / "training_epochs/cycle_00001/ready.json").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, process.kill()
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert leftovers(run) == []


def test_killed_generation_leaves_no_ready_json_without_its_records(dataset, tmp_path):
    run = tmp_path / "run"
    process = start("generate", dataset, "--out", run, "--cycles", 100_000, "--seed", 42, *SMALL, "--no-eval")
    while not (run / "training_epochs/cycle_00001/ready.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.kill()
    process.communicate()
    # The unfinished cycle keeps its hidden name; all visible folders are complete.
    assert list(run.glob("training_epochs/cycle_*"))
    negpipe("verify", dataset, run)


# ---- threads

def test_threads_that_cannot_be_started(sanitized, dataset, tmp_path):
    if sanitized:
        pytest.skip("a sanitizer needs more address space than this test leaves")
    limit = 2 * 10**9  # thousands of stacks do not fit
    result = negpipe("generate", dataset, "--out", tmp_path / "run", *SMALL, "--threads", 4000, expect=SYSTEM,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert "--threads" in result.stderr and "of 4000" in result.stderr
    assert list(tmp_path.iterdir()) == []


# ---- memory

@pytest.fixture(scope="module")
def medium(tmp_path_factory):
    """Two million positives of 40,000 users and 10,000 items."""
    folder = tmp_path_factory.mktemp("medium")
    negpipe("synth", "--users", 40_000, "--items", 10_000, "--positives", 2_040_000, "--seed", 1, "--out",
            folder / "data")
    return folder / "data"


def peak_memory_bytes(*arguments):
    process = start(*arguments)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    _, message = process.communicate()
    assert process.returncode == 0, message
    return usage.ru_maxrss * 1024


def test_peak_memory_does_not_grow_with_cycles(sanitized, large_ratings, tmp_path):
    if sanitized:
        pytest.skip("sanitizers keep freed memory")
    data = large_ratings.parent / "data"

    def peak(cycles):
        out = tmp_path / f"run{cycles}"
        bytes_used = peak_memory_bytes("generate", data, "--out", out, "--cycles", cycles, "--no-eval", "--quiet",
                                       "--seed", 1)
        shutil.rmtree(out)
        return bytes_used

    # A cycle is 14 MB of records: ten more in memory would show.
    assert peak(12) < peak(2) + 16e6


@pytest.mark.parametrize("budget, cycles, more", [
    (0, 3, ()), (64 * 10**6, 1, ()), (64 * 10**6, 5, ()), (64 * 10**6, 1, ("--compression", "gzip", "--num-neg", 1))],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else str(value))
def test_peak_memory_is_that_of_the_dataset_the_bitsets_and_200_megabytes(budget, cycles, more, sanitized, medium,
                                                                          tmp_path):
    if sanitized:
        pytest.skip("sanitizers keep freed memory")
    # The bitsets take 50 MB; five cycles are 350 MB of records, which would show if they were in memory.
    dataset_bytes = sum(path.stat().st_size for path in medium.iterdir())
    used = peak_memory_bytes("generate", medium, "--out", tmp_path / "run", "--cycles", cycles, "--quiet", "--seed", 1,
                             "--bitset-budget", budget, "--eval-negatives", 99, "--eval-batch-size", 100_000,
                             "--device", "cpu", *more)
    assert used < dataset_bytes + budget + 200e6


def test_peak_memory_does_not_grow_with_epochs_in_a_cycle(sanitized, large_ratings, tmp_path):
    if sanitized:
        pytest.skip("sanitizers keep freed memory")
    data = large_ratings.parent / "data"

    def peak(epochs):
        out = tmp_path / f"run{epochs}"
        bytes_used = peak_memory_bytes("generate", data, "--out", out, "--epochs-per-cycle", epochs, "--no-eval",
                                       "--quiet", "--seed", 1)
        shutil.rmtree(out)
        return bytes_used

    assert peak(12) < peak(2) + 16e6


def test_a_read_only_dataset_can_be_read(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "data")
    for path in (tmp_path / "data").iterdir():
        path.chmod(0o444)
    (tmp_path / "data").chmod(0o555)
    before = digests(tmp_path / "data")
    command = [*as_ordinary_user(), PROGRAM, "generate", str(tmp_path / "data"), "--out", str(tmp_path / "run"),
               *map(str, SMALL)]
    subprocess.run(command, check=True, capture_output=True)
    assert digests(tmp_path / "data") == before

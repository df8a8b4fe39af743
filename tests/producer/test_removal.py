"""Removal of folders that a producer uses: it ends without its cache, and continues without its cycles."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest
from producing import ENDLESS_CYCLE, PHASES, PROMPT_SECONDS, producing, require_equal, small
from program import INTERRUPTED, OK, USAGE, digests, leftovers, negpipe, works

# Cycles that take long enough that a test sees them incomplete.
LONG_CYCLE = ("--epochs-per-cycle", 150, "--compression", "gzip", "--threads", 1)


def require_removed(producer, begin):
    """Checks that the producer ended at once, for the given reason, and left nothing."""
    assert producer.status() == OK, producer.said()
    assert time.monotonic() - begin < PROMPT_SECONDS
    assert "subproc.alive was removed" in producer.said()
    assert list(producer.cache.glob("**/*")) == [] and not producer.cache.exists(), producer.said()


@pytest.mark.parametrize("phase", PHASES)
def test_it_ends_when_the_cache_is_removed(phase, dataset, tmp_path):
    arguments, reached = PHASES[phase]
    with producing(tmp_path / "data", *small(dataset, *arguments)) as producer:
        reached(producer)
        shutil.rmtree(producer.cache, ignore_errors=True)
        require_removed(producer, time.monotonic())


def test_the_next_producer_of_an_emptied_cache_keeps_its_cycles(dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as producer, contextlib.ExitStack() as stack:
        producer.wait_until_idle()
        producer.process.send_signal(signal.SIGSTOP)
        for path in producer.cache.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        messages = tmp_path / "successor.messages"
        successor = stack.enter_context(producing(tmp_path / "data", *small(dataset), messages=messages))
        successor.wait_until_idle()
        producer.process.send_signal(signal.SIGCONT)
        assert producer.status() == OK, producer.said()
        assert [cycle.name for cycle in successor.cycles] == ["cycle_00000", "cycle_00001", "cycle_00002"]
        for cycle in successor.cycles:
            require_equal(cycle, undisturbed)
        assert successor.alive_file.exists()
        assert successor.stop() == INTERRUPTED


@pytest.mark.parametrize("trial", range(5))
def test_it_ends_when_the_cache_is_removed_between_cycles(trial, dataset, tmp_path):
    # Files written into the folder during its removal must be removed too.
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 100_000)) as producer:
        producer.wait_for_cycles(2 + 3 * trial)
        shutil.rmtree(producer.cache, ignore_errors=True)
        require_removed(producer, time.monotonic())


def test_it_ends_when_subproc_alive_is_removed_while_a_cycle_is_made(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, *ENDLESS_CYCLE)) as producer:
        producer.wait_until_making("cycle_00000")
        begin = time.monotonic()
        producer.alive_file.unlink()
        assert producer.status() == OK, producer.said()
        assert time.monotonic() - begin < PROMPT_SECONDS
        assert "subproc.alive was removed" in producer.said()
        assert sorted(path.name for path in producer.cache.iterdir()) == [
            "producer.json",
            "producer.lock",
            "training_epochs",
        ]


REMOVALS_OF_FILES = {
    "glob": 'rm -f "$0"/*',
    "hidden_too": 'rm -f "$0"/* "$0"/.[!.]*',
    "find": 'find "$0" -maxdepth 1 -type f -delete',
    "empty_folders_too": 'find "$0" -maxdepth 1 -type f -delete; rm -rf "$0/.partial"',
}


@pytest.mark.parametrize("how", REMOVALS_OF_FILES)
def test_cycles_stay_where_only_files_are_removed(how, dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as producer:
        producer.wait_until_idle()
        subprocess.run(["sh", "-c", REMOVALS_OF_FILES[how], producer.cache], capture_output=True, check=False)
        assert producer.status() == OK, producer.said()
        assert "subproc.alive was removed" in producer.said()
        assert len(producer.cycles) == 3
        for folder in (*producer.cycles, producer.cache / "eval_data"):
            require_equal(folder, undisturbed)
        assert leftovers(producer.cache) == []


def test_a_mount_in_a_replaced_cycle_is_not_emptied(dataset, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "precious").touch()
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
        inside = producer.cycles[0] / "mounted"
        inside.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not works(*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"):
        pytest.skip("a mount of a test's own needs root or user namespaces, which are not available here")
    prefix = [*unshare, "sh", "-c", f'mount --bind "{theirs}" "{inside}" && exec "$@"', "sh"]
    before = digests(producer.cache)
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1, "--force"), prefix=prefix) as producer:
        assert producer.status() == USAGE, producer.said()
        assert str(inside) in producer.said()
    assert (theirs / "precious").exists() and digests(producer.cache) == before


def test_another_cache_at_its_path_is_not_touched(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, *ENDLESS_CYCLE)) as producer:
        producer.wait_until_making("cycle_00000")
        producer.cache.rename(tmp_path / "data/moved")
        theirs = producer.cache / "training_epochs/cycle_00007"
        theirs.mkdir(parents=True)
        (producer.cache / ".partial").mkdir()
        assert producer.status() == OK, producer.said()
        assert theirs.exists() and (producer.cache / ".partial").exists()
        assert len(list(producer.cache.iterdir())) == 2


def test_it_continues_when_the_folder_of_all_cycles_is_moved_away(dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 2)) as producer:
        producer.wait_until_idle()
        (producer.cache / "training_epochs").rename(tmp_path / "moved")
        producer.wait_for_cycles(2)
        assert [cycle.name for cycle in producer.cycles] == ["cycle_00002", "cycle_00003"]
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)
        assert producer.stop() == INTERRUPTED


@pytest.mark.parametrize("ahead", [1, 2], ids=["waiting", "making"])
def test_it_continues_when_all_cycles_are_removed(ahead, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, *LONG_CYCLE, "--cycles-ahead", ahead)) as producer:
        producer.wait_until_idle() if ahead == 1 else producer.wait_until_making("cycle_00001")
        shutil.rmtree(producer.cache / "training_epochs")
        producer.wait_until_making("cycle_00001")
        producer.wait_for_cycles(1)
        assert producer.cycles[0].name == "cycle_00001"
        negpipe("verify", dataset, producer.cache)
        assert producer.stop() == INTERRUPTED

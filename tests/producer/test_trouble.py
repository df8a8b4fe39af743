"""Two producers, a full disk, folders without write permission, missing files."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest
from producing import PROMPT_SECONDS, producing, require_equal, small, wait_until
from program import (BACKEND, BAD_DATA, INFEASIBLE, INTERRUPTED, OK, SMALL, SYSTEM, USAGE, as_ordinary_user, digests,
                     leftovers, negpipe, refuses, works)


def test_a_second_producer_is_refused(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as first:
        first.wait_until_idle()
        before = digests(first.cache)
        for arguments in ((), ("--resume",), ("--force",)):
            with producing(tmp_path / "data", *small(dataset, *arguments)) as second:
                assert second.status() == USAGE
        assert "has a producer already" in second.said()
        assert digests(first.cache) == before
        with producing(tmp_path / "data", *small(dataset, "--cycles", 1), cache_id="other") as other:
            assert other.status() == OK
        assert first.process.poll() is None


def test_one_of_two_that_start_at_once_is_refused(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as one, producing(tmp_path / "data", *small(dataset)) as two:
        both = (one.process, two.process)
        wait_until(lambda: any(process.poll() is not None for process in both), "one of them to end")
        one.wait_until_idle()
        assert sorted(process.poll() is None for process in both) == [False, True]


def on_small_disk(size, folder, files=100_000, taken=0):
    """Returns a command prefix that mounts a file system on a folder.

    size and files: its capacity in bytes and files. taken: number of files taken_N that it contains already.
    """
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if not works(*unshare, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"):
        pytest.skip("mounting a file system needs root or user namespaces, which are not available here")
    # Its root folder counts as a file too.
    mount = f'mount -t tmpfs -o size={size},nr_inodes={files + 1} tmpfs "{folder}"'
    take = f'for i in $(seq {taken}); do touch "{folder}/taken_$i"; done'
    return [*unshare, "sh", "-c", f'{mount} && {take} && exec "$@"', "sh"]


def test_it_waits_while_the_disk_is_full(dataset, undisturbed, tmp_path):
    cycle_bytes = sum(file.stat().st_size for file in (undisturbed / "training_epochs/cycle_00000").iterdir())
    evaluation_bytes = sum(file.stat().st_size for file in (undisturbed / "eval_data").iterdir())
    folder = tmp_path / "data"
    folder.mkdir()
    size = 3 * cycle_bytes + evaluation_bytes + cycle_bytes // 2
    with producing(
        folder, *small(dataset, "--cycles-ahead", 10, "--parent", 0), prefix=on_small_disk(size, folder)
    ) as producer:
        inside = f"/proc/{producer.process.pid}/root{folder}"
        producer.cache = pathlib.Path(inside) / producer.cache.name
        wait_until(lambda: "no room for cycle" in producer.said(), "the disk to be full")
        for cycle in range(4):
            wait_until(lambda: producer.cycles[:1] and producer.cycles[0].name == f"cycle_{cycle:05}", "the next cycle")
            for found in producer.cycles:
                require_equal(found, undisturbed)
            shutil.rmtree(producer.cycles[0])
        assert "bytes: " in producer.said() and "are free" in producer.said()
        assert producer.stop() == INTERRUPTED


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_disk_too_small_for_one_cycle_is_an_error(compression, dataset, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    arguments = small(dataset, "--timeout", 1, "--parent", 0, "--compression", compression)
    with producing(folder, *arguments, prefix=on_small_disk(32768, folder)) as producer:
        assert producer.status() == SYSTEM, producer.said()
        assert "there is no room for cycle 0" in producer.said() and "the trainer" not in producer.said()


def test_a_disk_that_stays_full_is_an_error(dataset, undisturbed, tmp_path):
    cycle_bytes = sum(file.stat().st_size for file in (undisturbed / "training_epochs/cycle_00000").iterdir())
    folder = tmp_path / "data"
    folder.mkdir()
    arguments = small(dataset, "--timeout", 2, "--parent", 0, "--no-eval")
    with producing(folder, *arguments, prefix=on_small_disk(2 * cycle_bytes, folder)) as producer:
        assert producer.status() == SYSTEM, producer.said()
        assert "there is no room for cycle 1" in producer.said() and "for 2 s" in producer.said()


def test_it_waits_when_a_write_finds_no_room(dataset, undisturbed, tmp_path, preload):
    # The free space does not show it, as with a quota.
    flag = tmp_path / "full"
    environment = {**preload, "FULL_DISK_FLAG": str(flag)}
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 1), env=environment) as producer:
        producer.wait_until_idle()
        flag.touch()
        shutil.rmtree(producer.cycles[0])
        wait_until(lambda: "no room for cycle 1" in producer.said(), "the disk to be full")
        time.sleep(0.3)
        assert not producer.cycles and leftovers(producer.cache / "training_epochs") == []
        flag.unlink()
        producer.wait_for_cycles(1)
        require_equal(producer.cycles[0], undisturbed)
        assert producer.stop() == INTERRUPTED


def test_it_waits_when_an_entry_finds_no_room(dataset, undisturbed, tmp_path, preload):
    # The cycle is visible by then, and a consumer may use it: it must be neither made again nor conflict.
    flag = tmp_path / "full"
    environment = {**preload, "FULL_FOLDER_FLAG": str(flag)}
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 1), env=environment) as producer:
        producer.wait_until_idle()
        flag.touch()
        shutil.rmtree(producer.cycles[0])
        wait_until(lambda: "no room for the entry of cycle 1" in producer.said(), "the disk to be full")
        require_equal(producer.cycles[0], undisturbed)
        shutil.rmtree(producer.cycles[0])
        flag.unlink()
        producer.wait_for_cycles(1)
        assert producer.cycles[0].name == "cycle_00002"
        require_equal(producer.cycles[0], undisturbed)
        assert producer.stop() == INTERRUPTED


@pytest.mark.parametrize("left", [0, 1], ids=["folder", "lock"])
def test_it_waits_for_room_for_the_cache_folder(left, dataset, undisturbed, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    prefix = on_small_disk("8m", folder, files=100, taken=100 - left)
    arguments = small(dataset, "--cycles-ahead", 1, "--parent", 0)
    with producing(folder, *arguments, prefix=prefix, messages=tmp_path / "messages") as producer:
        inside = pathlib.Path(f"/proc/{producer.process.pid}/root{folder}")
        producer.cache = inside / producer.cache.name
        wait_until(lambda: "no room for the cache folder" in producer.said(), "the disk to be full")
        for file in inside.glob("taken_*"):
            file.unlink()
        producer.wait_for_cycles(1)
        require_equal(producer.cycles[0], undisturbed)
        assert producer.stop() == INTERRUPTED


def test_a_signal_ends_the_wait_for_room(dataset, tmp_path, preload):
    flag = tmp_path / "full"
    flag.touch()
    environment = {**preload, "FULL_DISK_FLAG": str(flag)}
    with producing(tmp_path / "data", *small(dataset), env=environment) as producer:
        wait_until(lambda: "no room for cycle 0" in producer.said(), "the disk to be full")
        begin = time.monotonic()
        assert producer.stop() == INTERRUPTED
        assert time.monotonic() - begin < PROMPT_SECONDS
        assert leftovers(producer.cache) == [] and not producer.alive_file.exists()


@pytest.fixture
def as_others():
    """Returns a command prefix under which permissions apply, also if root runs the tests."""
    return as_ordinary_user()


def test_a_folder_without_write_permission_is_an_error(dataset, tmp_path, as_others):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with producing(folder / "data", *small(dataset), prefix=as_others, messages=tmp_path / "messages") as producer:
        assert producer.status() == SYSTEM
        assert "Permission denied" in producer.said() and str(folder) in producer.said()
    assert list(folder.iterdir()) == []


def test_unfinished_work_that_cannot_be_removed_is_an_error(dataset, tmp_path, as_others):
    leavings = tmp_path / "data/test_ncf_recommendation_cache/.partial/.cycle_00000.partial-1"
    leavings.mkdir(parents=True)
    (leavings / "train_0.tfrecords").touch()
    leavings.chmod(0o555)
    log = tmp_path / "log"
    with producing(tmp_path / "data", *small(dataset, "--log-file", log), prefix=as_others) as producer:
        assert producer.status() == SYSTEM, producer.said()
        for text in (producer.said(), log.read_text()):
            assert ".partial/.cycle_00000.partial-1: Permission denied" in text and "that you may write to" in text


@pytest.mark.parametrize("name", ["producer.json", "eval_data", "flagfile"])
def test_a_self_referencing_link_is_an_error(name, dataset, tmp_path):
    cache = tmp_path / "data/test_ncf_recommendation_cache"
    cache.mkdir(parents=True)
    (cache / name).symlink_to(cache / name)
    log = tmp_path / "log"
    arguments = ("--log-file", log) if name == "flagfile" else small(dataset, "--log-file", log)
    with producing(tmp_path / "data", *arguments) as producer:
        assert producer.status() == SYSTEM, producer.said()
        for text in (producer.said(), log.read_text()):
            assert f"{cache / name}: Too many levels" in text


@pytest.mark.parametrize("seed", ['"many"', '"-1"', '"18446744073709551616"', '""', "7", "null"])
def test_a_damaged_note_is_an_error(seed, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
        note = producer.cache / "producer.json"
        note.write_text(note.read_text().replace('"seed": "42"', f'"seed": {seed}'))
    log = tmp_path / "log"
    with producing(tmp_path / "data", dataset, *SMALL, "--resume", "--log-file", log) as producer:
        assert producer.status() == BAD_DATA, producer.said()
        for text in (producer.said(), log.read_text()):
            assert "producer.json is not what a producer notes; start again with --force" in text


@pytest.mark.parametrize("depth", [40, 300_000])
def test_a_note_nested_too_deeply_is_an_error(depth, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
        note = producer.cache / "producer.json"
        # In a value that would be part of the message.
        nest = "[" * depth + "]" * depth
        note.write_text(note.read_text().replace('"readers": 3', f'"readers": {nest}'))
    with producing(tmp_path / "data", *small(dataset, "--resume")) as producer:
        assert producer.status() == BAD_DATA, producer.said()
        assert "producer.json is not what a producer notes; start again with --force" in producer.said()


NO_NAMES = ("", ".", "..", "../x", "a/b", "/x", "x/", ".hidden", "..x", "a\nb", "a\tb", "\x7f", " a", "a ", "a" * 250)


@pytest.mark.parametrize("cache_id", NO_NAMES)
def test_a_cache_id_is_a_plain_name(cache_id, dataset, tmp_path):
    command = ("produce", *small(dataset), "--data-dir", tmp_path / "data", f"--cache-id={cache_id}")
    refuses(USAGE, *command, naming=["cache-id"])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    (tmp_path / "flags").write_text("--redirect_logs=True\n")  # to a file whose name contains the id
    refuses(USAGE, command[0], "--flagfile", tmp_path / "flags", *command[1:], naming=["cache-id"])
    assert list((tmp_path / "data").iterdir()) == [] and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("cache_id", ["1", "run-1", "a.b", "a..b", "it's", "ä b", "-x", "a" * 230])
def test_other_characters_of_a_cache_id_are_allowed(cache_id, dataset, tmp_path):
    negpipe("produce", *small(dataset, "--cycles", 1), "--data-dir", tmp_path, f"--cache-id={cache_id}", "--parent", 0)
    assert (tmp_path / f"{cache_id}_ncf_recommendation_cache/eval_data/ready.json").exists()


@pytest.mark.parametrize("name", ["flagfile", "producer.json", "producer.lock"])
def test_a_fifo_is_refused_at_once(name, dataset, tmp_path):
    cache = tmp_path / "data/test_ncf_recommendation_cache"
    cache.mkdir(parents=True)
    os.mkfifo(cache / name)
    arguments = () if name == "flagfile" else small(dataset, "--resume")
    with producing(tmp_path / "data", *arguments) as producer:
        assert producer.status() == SYSTEM, producer.said()
        assert name in producer.said()


def test_a_log_that_is_a_fifo_without_a_reader_is_refused_at_once(dataset, tmp_path):
    os.mkfifo(tmp_path / "log")
    with producing(tmp_path / "data", *small(dataset, "--log-file", tmp_path / "log")) as producer:
        assert producer.status() == SYSTEM, producer.said()


def test_a_log_that_cannot_be_written_is_an_error(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--log-file", tmp_path / "no/such/log")) as producer:
        assert producer.status() == SYSTEM
        assert "no/such/log" in producer.said()


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (("--cycles-ahead", 0), USAGE, "--cycles-ahead"),
        (("--timeout", 0), USAGE, "--timeout"),
        (("--eval-batch-size", 211), USAGE, "eval-batch-size"),
        (("--eval-negatives", 299, "--eval-batch-size", 300), INFEASIBLE, "user"),
        (("--device", "abacus"), USAGE, "abacus"),
    ],
)
def test_impossible_options_leave_nothing(arguments, status, named, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, *arguments)) as producer:
        assert producer.status() == status, producer.said()
        assert named in producer.said()
        assert not producer.cycles and not producer.alive_file.exists()


def test_a_folder_that_is_not_a_dataset_is_an_error(tmp_path):
    (tmp_path / "nothing").mkdir()
    with producing(tmp_path / "data", tmp_path / "nothing") as producer:
        assert producer.status() in (BAD_DATA, SYSTEM)
        assert str(tmp_path / "nothing") in producer.said()


def test_a_missing_backend_leaves_no_folder(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--device", "cuda:999")) as producer:
        assert producer.status() == BACKEND
    assert not (tmp_path / "data").exists()
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK


@pytest.mark.parametrize("mine", ["eval_data/mine.txt", "training_epochs/cycle_00007/mine.txt"])
def test_force_removes_records_only(mine, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
    theirs = producer.cache / mine
    shutil.rmtree(theirs.parent, ignore_errors=True)
    theirs.parent.mkdir()
    theirs.touch()
    other = producer.cache / "training_epochs/notes"
    other.mkdir()
    before = digests(producer.cache)
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1, "--force")) as producer:
        assert producer.status() == USAGE
        assert theirs.parent.name in producer.said()
    assert digests(producer.cache) == before
    shutil.rmtree(theirs.parent)
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1, "--force")) as producer:
        assert producer.status() == OK
    assert other.exists() and len(producer.cycles) == 2


def test_the_lock_does_not_follow_links(dataset, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    cache = tmp_path / "data/test_ncf_recommendation_cache"
    cache.mkdir(parents=True)
    (cache / "producer.lock").symlink_to(theirs)
    with producing(tmp_path / "data", *small(dataset)) as producer:
        assert producer.status() == SYSTEM
        assert "producer.lock" in producer.said()
    assert theirs.read_text() == "theirs"

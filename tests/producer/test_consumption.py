"""A producer and a consumer that deletes what it used."""

import os
import pty
import shutil
import time

import pytest
from producing import producing, require_equal, small, wait_until
from program import INTERRUPTED, OK, SMALL, USAGE, digests, leftovers, negpipe


def test_cycles_equal_those_of_generate(dataset, undisturbed, tmp_path):
    negpipe("produce", *small(dataset, "--cycles", 2, "--cycles-ahead", 3), "--data-dir", tmp_path, "--cache-id", "x")
    cache = tmp_path / "x_ncf_recommendation_cache"
    for part in ("cycle_00000", "cycle_00001"):
        require_equal(cache / "training_epochs" / part, undisturbed)
    require_equal(cache / "eval_data", undisturbed)
    negpipe("verify", dataset, cache)
    assert not (cache / "subproc.alive").exists()
    assert leftovers(cache) == []


@pytest.mark.parametrize("how", [(), ("--poll",)], ids=["inotify", "poll"])
def test_a_consumer_gets_every_cycle_in_order(how, dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 2, *how)) as producer:
        for cycle in range(8):
            producer.wait_for_cycles(1)
            first = producer.cycles[0]
            assert first.name == f"cycle_{cycle:05}"
            assert len(producer.cycles) <= 2
            require_equal(first, undisturbed)
            shutil.rmtree(first)
        require_equal(producer.cache / "eval_data", undisturbed)
        assert producer.stop() == INTERRUPTED
    assert leftovers(producer.cache) == []


def test_a_consumer_reads_while_the_next_cycle_is_written(dataset, tmp_path):
    # A large cycle is written meanwhile; published folders must be complete at any moment.
    big = small(dataset, "--epochs-per-cycle", 100, "--cycles-ahead", 50)
    with producing(tmp_path / "data", *big) as producer:
        producer.wait_for_cycles(1)
        seen = set()
        for _ in range(30):
            for cycle in producer.cycles:
                ready = cycle / "ready.json"
                assert ready.exists(), f"{cycle} was visible before it was complete"
                if cycle not in seen and len(seen) < 3:
                    assert {file.name for file in cycle.iterdir()} >= {f"train_{i}.tfrecords" for i in range(3)}
                    seen.add(cycle)
            time.sleep(0.01)
        assert producer.stop() == INTERRUPTED
        assert negpipe("verify", dataset, producer.cache, "--quiet").returncode == 0


def test_a_consumer_verifies_a_cycle_while_the_next_is_written(dataset, tmp_path):
    slow = (*SMALL, "--seed", 9, "--epochs-per-cycle", 30, "--compression", "gzip", "--threads", 1)
    negpipe("generate", dataset, "--out", tmp_path / "whole", "--cycles", 5, "--no-eval", *slow)
    side_by_side = 0
    with producing(tmp_path / "data", dataset, *slow, "--cycles-ahead", 2) as producer:
        for number in range(5):
            producer.wait_for_cycles(1)
            cycle, following = producer.cycles[0], f"cycle_{number + 1:05}"
            wait_until(lambda: producer.is_making(following) or len(producer.cycles) == 2, f"the start of {following}")
            for _ in range(3):
                require_equal(cycle, tmp_path / "whole")
                side_by_side += producer.is_making(following)
            shutil.rmtree(cycle)
        assert producer.stop() == INTERRUPTED
    assert side_by_side >= 3, "most reads did not overlap with a write: the test tests little"


def test_without_a_consumer_it_keeps_as_many_as_asked(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 4)) as producer:
        producer.wait_until_idle()
        before = digests(producer.cache)
        time.sleep(1)
        assert [cycle.name for cycle in producer.cycles] == [f"cycle_{i:05}" for i in range(4)]
        assert digests(producer.cache) == before
        assert producer.stop() == INTERRUPTED


def wait_until_idle_after(producer, cycles_made):
    wait_until(lambda: producer.said().count("waiting for one to be consumed") == cycles_made, "the producer to wait")


def test_inotify_wakes_the_producer(dataset, tmp_path, preload):
    # ONLY_WOKEN: the wait has no timeout, so only an event ends it.
    environment = {**preload, "ONLY_WOKEN": "1"}
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 1), env=environment) as producer:
        for cycle in range(3):
            wait_until_idle_after(producer, cycle + 1)
            shutil.rmtree(producer.cycles[0])
        # The parent folder may be removed and created again: the folder that is now at that path is watched.
        wait_until_idle_after(producer, 4)
        (producer.cache / "training_epochs").rename(tmp_path / "moved")
        wait_until_idle_after(producer, 5)
        shutil.rmtree(producer.cycles[0])
        wait_until_idle_after(producer, 6)
        assert [cycle.name for cycle in producer.cycles] == ["cycle_00005"]
        assert producer.stop() == INTERRUPTED


def test_polling_is_not_woken_by_events(dataset, tmp_path, preload):
    # Checks the premise of the test above.
    environment = {**preload, "ONLY_WOKEN": "1"}
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 1, "--poll"), env=environment) as producer:
        wait_until_idle_after(producer, 1)
        shutil.rmtree(producer.cycles[0])
        time.sleep(1)
        assert producer.cycles == []
        assert producer.stop() == INTERRUPTED  # by the monitor's descriptor


def test_a_consumed_cycle_is_replaced_soon(dataset, tmp_path):
    # Polling would take up to 5 s; an event takes as long as making a cycle.
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 1)) as producer:
        for cycle in range(3):
            wait_until_idle_after(producer, cycle + 1)
            begin = time.monotonic()
            shutil.rmtree(producer.cycles[0])
            producer.wait_for_cycles(1)
            assert time.monotonic() - begin < 3, f"cycle {cycle + 1} came late"
        assert "twice a second" not in producer.said()


def test_without_inotify_it_polls(dataset, undisturbed, tmp_path, preload):
    environment = {**preload, "NO_INOTIFY": "1"}
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 1), env=environment) as producer:
        for _ in range(3):
            producer.wait_for_cycles(1)
            require_equal(producer.cycles[0], undisturbed)
            shutil.rmtree(producer.cycles[0])
        producer.wait_for_cycles(1)
        assert "inotify is not in use" in producer.said()
        assert producer.stop() == INTERRUPTED


def delete_half(cycle):
    """Makes a cycle look like after an interrupted deletion by a trainer."""
    (cycle / "ready.json").unlink()
    (cycle / "train_0.tfrecords").unlink()


def test_a_half_deleted_cycle_counts_as_consumed(dataset, undisturbed, tmp_path):
    arguments = small(dataset, "--cycles-ahead", 1)
    with producing(tmp_path / "data", *arguments, "--poll") as producer:
        producer.wait_until_idle()
        half = producer.cycles[0]
        delete_half(half)
        producer.wait_for_cycles(2)
        require_equal(producer.cycles[1], undisturbed)
        wait_until(lambda: f"{half} has no ready.json" in producer.said(), "the message")
        assert producer.stop() == INTERRUPTED
        assert producer.said().count("has no ready.json") == 1
    # The next producer removes it, but no folder with other files.
    theirs = producer.cache / "training_epochs/cycle_00007"
    theirs.mkdir()
    (theirs / "mine.txt").touch()
    messages = tmp_path / "resumed.messages"
    with producing(tmp_path / "data", *arguments, "--resume", messages=messages) as producer:
        wait_until(lambda: "waiting for one to be consumed" in producer.said(), "the producer to wait")
        assert f"{theirs} has no ready.json" in producer.said()
        assert [cycle.name for cycle in producer.cycles] == ["cycle_00001", "cycle_00007"]
        assert (theirs / "mine.txt").exists()
        assert producer.stop() == INTERRUPTED


def test_half_deleted_evaluation_data_is_made_again(dataset, undisturbed, tmp_path):
    arguments = small(dataset, "--cycles", 1)
    with producing(tmp_path / "data", *arguments) as producer:
        assert producer.status() == OK
        evaluation = producer.cache / "eval_data"
        (evaluation / "ready.json").unlink()
        (evaluation / "mine.txt").touch()
    with producing(tmp_path / "data", *arguments, "--resume") as producer:
        assert producer.status() == USAGE
        assert f"{evaluation} has no ready.json" in producer.said()
        (evaluation / "mine.txt").unlink()
    with producing(tmp_path / "data", *arguments, "--resume") as producer:
        assert producer.status() == OK, producer.said()
        require_equal(evaluation, undisturbed)


def test_force_is_not_stopped_by_half_deleted_folders(dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 2)) as producer:
        assert producer.status() == OK
        delete_half(producer.cycles[0])
        (producer.cache / "eval_data/ready.json").unlink()
    with producing(tmp_path / "data", *small(dataset, "--cycles", 2, "--force")) as producer:
        assert producer.status() == OK, producer.said()
        for folder in (*producer.cycles, producer.cache / "eval_data"):
            require_equal(folder, undisturbed)


@pytest.mark.parametrize(
    ("arguments", "first", "later"),
    [
        (("--threads", 8), 8, 6),
        (("--threads", 2), 2, 1),
        (("--threads", 1), 1, 1),
        (("--threads", 5, "--background-threads", 4), 5, 4),
    ],
)
def test_later_cycles_leave_threads_to_the_trainer(arguments, first, later, dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 2, *arguments)) as producer:
        assert producer.status() == OK
        assert f"{first} threads for the first cycle, {later} for later ones" in producer.said()
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)


def test_a_terminal_gets_a_status_line(dataset, tmp_path):
    terminal, program_side = pty.openpty()
    log = tmp_path / "log"
    log.touch()
    with producing(tmp_path / "data", *small(dataset, "--log-file", log), terminal=program_side) as producer:
        os.close(program_side)
        wait_until(lambda: "waiting for one" in log.read_text(), "the producer to wait")
        shutil.rmtree(producer.cycles[0])
        wait_until(lambda: "cycle 3: " in log.read_text(), "cycle 3")
        shown = os.read(terminal, 65536).decode()
        assert producer.stop() == INTERRUPTED
    os.close(terminal)
    assert " made, " in shown and " ahead, " in shown and " consumed, " in shown and "points/s" in shown


def test_the_log_has_the_events(dataset, tmp_path):
    log = tmp_path / "log"
    negpipe("produce", *small(dataset, "--cycles", 2, "--log-file", log), "--data-dir", tmp_path, "--cache-id", "x")
    lines = log.read_text().splitlines()
    assert all(line[4] == "-" and line[10] == "T" and " negpipe produce [" in line for line in lines)
    assert [line for line in lines if "cycle 1: " in line and "2 made, 2 ahead, 0 consumed" in line]
    assert "all cycles are made" in lines[-1]

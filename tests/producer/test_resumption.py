"""After a crash the next producer goes on where it happened, with the bytes there would have been."""

import random
import shutil
import signal
import time

import pytest
from producing import Producer, producing, require_equal, small, wait_until
from program import INTERRUPTED, OK, SMALL, USAGE, leftovers, negpipe


@pytest.fixture(scope="module")
def larger(dataset, tmp_path_factory):
    """Options of cycles that take long enough to be struck in the middle, and what generate makes of them."""
    options = (*SMALL, "--seed", 7, "--epochs-per-cycle", 40)
    path = tmp_path_factory.mktemp("larger") / "run"
    negpipe("generate", dataset, "--out", path, "--cycles", 3, *options)
    return options, path


def test_killed_at_twenty_moments(dataset, larger, tmp_path):
    options, whole = larger
    arguments = (dataset, *options, "--cycles", 3)
    begin = time.monotonic()
    assert Producer(tmp_path / "timing", *arguments).status() == OK
    seconds = time.monotonic() - begin
    generator = random.Random(20)
    struck = 0
    for trial in range(20):
        folder = tmp_path / f"trial{trial}"
        producer = Producer(folder, *arguments)
        wait_until(producer.alive_file.exists, "the producer") if trial % 2 else None
        time.sleep(generator.uniform(0, seconds))
        producer.process.send_signal(signal.SIGKILL)
        struck += producer.status() == -signal.SIGKILL
        for cycle in producer.cycles:  # what was published before the crash is whole
            require_equal(cycle, whole)
        resumed = Producer(folder, *arguments, "--resume")
        assert resumed.status() == OK, resumed.said()
        for cycle in range(3):
            require_equal(resumed.cache / "training_epochs" / f"cycle_{cycle:05}", whole)
        require_equal(resumed.cache / "eval_data", whole)
        assert leftovers(resumed.cache) == []
        shutil.rmtree(folder)
    assert struck >= 10, "the producer was mostly done before it was struck: the test tests little"


def test_consumed_cycles_are_not_made_again(dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 2)) as producer:
        producer.wait_until_idle()
        shutil.rmtree(producer.cycles[0])
        wait_until(lambda: [cycle.name for cycle in producer.cycles] == ["cycle_00001", "cycle_00002"], "cycle 2")
        producer.stop(signal.SIGKILL)
        for cycle in producer.cycles:
            shutil.rmtree(cycle)
    with producing(tmp_path / "data", *small(dataset, "--cycles-ahead", 2, "--resume")) as producer:
        producer.wait_for_cycles(2)
        # A kill between a cycle's publication and the note of it makes the cycle twice; it never leaves one out.
        assert producer.cycles[0].name in ("cycle_00002", "cycle_00003")
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)


def test_a_drawn_seed_is_kept(dataset, tmp_path):
    with producing(tmp_path / "data", dataset, *SMALL, "--cycles", 1) as producer:
        assert producer.status() == OK
        cache = producer.cache
    first = negpipe("hash", cache).stdout
    shutil.rmtree(cache / "training_epochs")
    shutil.rmtree(cache / "eval_data")
    with producing(tmp_path / "data", dataset, *SMALL, "--cycles", 2, "--resume") as producer:
        assert producer.status() == OK
    second = negpipe("hash", cache).stdout
    assert [line for line in first.splitlines() if "eval_data" in line] == [
        line for line in second.splitlines() if "eval_data" in line
    ]
    assert "cycle_00001" in second and "cycle_00000" not in second


def test_other_options_are_refused_by_name(dataset, tmp_path):
    Producer(tmp_path / "data", *small(dataset, "--cycles", 1)).status()
    for option, value in (("--num-neg", 7), ("--padding", "mask"), ("--seed", 1)):
        with producing(tmp_path / "data", *small(dataset, "--cycles", 2, "--resume", option, value)) as producer:
            assert producer.status() == USAGE
            assert f"--resume: {option} was" in producer.said()
            producer.messages.unlink()


def test_an_earlier_run_is_not_touched_unasked(dataset, undisturbed, tmp_path):
    Producer(tmp_path / "data", *small(dataset, "--cycles", 2)).status()
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == USAGE
        assert "--resume" in producer.said() and "--force" in producer.said()
        assert len(producer.cycles) == 2
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1, "--force")) as producer:
        assert producer.status() == OK
        assert len(producer.cycles) == 1


def test_resume_of_nothing_is_a_beginning(dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--resume")) as producer:
        producer.wait_for_cycles(3)
        require_equal(producer.cycles[0], undisturbed)
        assert producer.stop() == INTERRUPTED


def test_resume_and_force_exclude_each_other(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--resume", "--force")) as producer:
        assert producer.status() == USAGE

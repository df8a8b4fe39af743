"""After a crash the next producer continues with the same bytes."""

import json
import random
import shutil
import signal
import time

import pytest
from producing import Producer, producing, require_equal, small, wait_until
from program import BAD_DATA, INTERRUPTED, OK, SMALL, USAGE, leftovers, negpipe


def resume_and_compare(producer, arguments, whole):
    """Resumes after a kill. The result must equal that of an uninterrupted run."""
    for published in producer.cycles:  # cycles published before the crash are complete
        require_equal(published, whole)
    resumed = Producer(producer.data_dir, *arguments, "--resume")
    assert resumed.status() == OK, resumed.said()
    assert len(resumed.cycles) == 3
    for published in (*resumed.cycles, resumed.cache / "eval_data"):
        require_equal(published, whole)
    assert leftovers(resumed.cache) == []
    shutil.rmtree(resumed.data_dir)


@pytest.mark.parametrize("form", [("none", 80), ("gzip", 15)], ids=["plain", "gzip"])
def test_it_resumes_after_a_kill_at_ten_moments_of_a_cycle(form, dataset, tmp_path):
    # A moment is a share of the cycle's bytes, so it does not depend on the machine's speed.
    compression, epochs = form
    options = (*SMALL, "--seed", 7, "--epochs-per-cycle", epochs, "--compression", compression, "--threads", 1)
    arguments = (dataset, *options, "--cycles", 3)
    whole = tmp_path / "whole"
    negpipe("generate", dataset, "--out", whole, "--cycles", 3, *options)
    generator = random.Random(20)
    struck_in_the_making = 0
    for trial in range(10):
        cycle = f"cycle_{trial % 3:05}"
        size = sum(path.stat().st_size for path in next(whole.glob(f"**/{cycle}")).iterdir())
        moment = generator.uniform(0, 0.8) * size
        producer = Producer(tmp_path / f"trial{trial}", *arguments)
        producer.wait_until_making(cycle)
        wait_until(lambda: producer.bytes_made(cycle) >= moment, f"{moment} bytes of {cycle}", every=0.001)
        producer.stop(signal.SIGKILL)
        struck_in_the_making += producer.is_making(cycle)
        resume_and_compare(producer, arguments, whole)
    assert struck_in_the_making >= 6, "most kills were between two cycles: the test tests little"


def test_it_resumes_after_a_kill_at_any_moment(dataset, tmp_path):
    # Including the start, between cycles, and while it writes its note.
    options = (*SMALL, "--seed", 7, "--epochs-per-cycle", 5)
    arguments = (dataset, *options, "--cycles", 3)
    negpipe("generate", dataset, "--out", tmp_path / "whole", "--cycles", 3, *options)
    begin = time.monotonic()
    assert Producer(tmp_path / "rehearsal", *arguments).status() == OK
    seconds = time.monotonic() - begin
    generator = random.Random(20)
    for trial in range(20):
        producer = Producer(tmp_path / f"trial{trial}", *arguments)
        time.sleep(generator.uniform(0, seconds))
        producer.stop(signal.SIGKILL)
        resume_and_compare(producer, arguments, tmp_path / "whole")


def test_notes_of_version_0_1_are_read(dataset, undisturbed, tmp_path):
    # Notes of 0.1 name options by flag, and do not name the folder to publish.
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
        note = producer.cache / "producer.json"
        content = json.loads(note.read_text())
        del content["publishing"]
        content["options"] = {
            name if name in ("dataset", "stream_version") else "--" + name.replace("_", "-"): value
            for name, value in content["options"].items()
        }
        assert {"--seed", "--num-neg", "--eval-batch-size", "--first-cycle"} <= content["options"].keys()
        note.write_text(json.dumps(content))
    without_seed = [word for word in small(dataset, "--cycles", 2, "--resume") if word not in ("--seed", 42)]
    with producing(tmp_path / "data", *without_seed) as producer:
        assert producer.status() == OK, producer.said()
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)
    assert "--" not in note.read_text()


@pytest.mark.parametrize("name", ["../x", ".cycle_00000/../../eval_data", "eval_data", ".cycle_0\0", 7, ""])
def test_a_note_cannot_name_other_folders(name, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
        note = producer.cache / "producer.json"
        note.write_text(json.dumps({**json.loads(note.read_text()), "publishing": name}))
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1, "--resume")) as producer:
        assert producer.status() == BAD_DATA, producer.said()


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
        assert producer.cycles[0].name == "cycle_00003"
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


def test_an_earlier_run_is_not_changed_without_options(dataset, undisturbed, tmp_path):
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


def test_resume_without_an_earlier_run_starts_a_new_one(dataset, undisturbed, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--resume")) as producer:
        producer.wait_for_cycles(3)
        require_equal(producer.cycles[0], undisturbed)
        assert producer.stop() == INTERRUPTED


def test_resume_and_force_exclude_each_other(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--resume", "--force")) as producer:
        assert producer.status() == USAGE

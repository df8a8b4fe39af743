"""Every way in which a producer ends: in time, with nothing half-made, and subproc.alive gone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from producing import ENDLESS_CYCLE, PHASES, PROMPT_SECONDS, producing, small, wait_until
from program import INTERRUPTED, OK, PROGRAM, leftovers


def require_clean(producer):
    assert not producer.alive_file.exists()
    assert leftovers(producer.cache) == []
    assert all((cycle / "ready.json").exists() for cycle in producer.cycles)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal(which, phase, dataset, tmp_path):
    arguments, reached = PHASES[phase]
    with producing(tmp_path / "data", *small(dataset, *arguments)) as producer:
        reached(producer)
        begin = time.monotonic()
        assert producer.stop(which) == INTERRUPTED
        assert time.monotonic() - begin < PROMPT_SECONDS
        require_clean(producer)


def test_a_signal_while_a_later_cycle_is_made(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--epochs-per-cycle", 300, "--cycles-ahead", 1000)) as producer:
        producer.wait_for_cycles(2)
        begin = time.monotonic()
        assert producer.stop() == INTERRUPTED
        assert time.monotonic() - begin < PROMPT_SECONDS
        require_clean(producer)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0, 0.01, 0.03])
def test_a_signal_while_it_starts(which, delay, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as producer:
        time.sleep(delay)
        # Before main() has set its handlers, the system's own ends the process, with nothing made yet.
        assert producer.stop(which) in (INTERRUPTED, -which)
        require_clean(producer)


def test_no_consumption_until_the_timeout(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--timeout", 1)) as producer:
        producer.wait_for_cycles(3)
        assert producer.status() == OK
        assert "nothing was consumed" in producer.said()
        require_clean(producer)


def test_consumption_puts_the_timeout_off(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--timeout", 2, "--cycles-ahead", 1)) as producer:
        for _ in range(4):
            producer.wait_for_cycles(1)
            time.sleep(1)
            assert producer.process.poll() is None, producer.said()
            shutil.rmtree(producer.cycles[0])
        assert producer.status() == OK


def test_jumps_of_the_clock_do_not_matter(dataset, tmp_path, preload):
    day = {**preload, "CLOCK_JUMP_SECONDS": "86400"}
    with producing(tmp_path / "data", *small(dataset, "--timeout", 3600), env=day) as producer:
        producer.wait_until_idle()
        time.sleep(0.5)
        assert producer.process.poll() is None, producer.said()
        dates = {line[:10] for line in producer.said().splitlines()}
        assert len(dates) > 1, "the clock did not jump: the test tests nothing"
        assert producer.stop() == INTERRUPTED


@pytest.mark.parametrize("arguments", [(), ENDLESS_CYCLE], ids=["waiting", "making"])
def test_the_death_of_the_parent(arguments, dataset, tmp_path):
    command = [
        PROGRAM,
        "produce",
        *map(str, small(dataset, *arguments)),
        "--data-dir",
        str(tmp_path / "data"),
        "--cache-id",
        "test",
    ]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL)\ntime.sleep(600)",
            *command,
        ]
    )
    cache = tmp_path / "data" / "test_ncf_recommendation_cache"
    alive = cache / "subproc.alive"
    wait_until(alive.exists, "the producer")
    wait_until(lambda: list(cache.glob(".partial/.cycle*")) or list(cache.glob("training_epochs/*")), "some work")
    pid = json.loads(alive.read_text())["pid"]
    assert os.path.exists(f"/proc/{pid}")
    parent.kill()
    parent.wait()
    begin = time.monotonic()
    wait_until(lambda: not alive.exists(), "the producer to end")
    assert time.monotonic() - begin < PROMPT_SECONDS
    assert leftovers(cache) == []


def test_a_parent_that_is_none_already(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--parent", 1 << 22)) as producer:
        assert producer.status() == OK
        assert "the parent process ended" in producer.said()
        require_clean(producer)


def test_it_goes_on_without_a_parent_where_that_is_asked_for(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--parent", 0)) as producer:
        producer.wait_until_idle()
        assert producer.process.poll() is None


def test_subproc_alive_names_the_process(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as producer:
        wait_until(producer.alive_file.exists, "subproc.alive")
        content = json.loads(producer.alive_file.read_text())
        assert content["pid"] == producer.process.pid
        fields = open(f"/proc/{content['pid']}/stat").read().rpartition(")")[2].split()
        assert content["start_ticks"] == int(fields[19])
        assert content["start_time"].endswith("Z")

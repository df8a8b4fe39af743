"""All ends of a producer: in time, without unfinished work, and without subproc.alive."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from producing import ENDLESS_CYCLE, PHASES, PROMPT_SECONDS, producing, require_equal, small, wait_until
from program import INTERRUPTED, OK, PROGRAM, SYSTEM, leftovers


def require_clean(producer):
    assert not producer.alive_file.exists()
    assert leftovers(producer.cache) == []
    assert all((cycle / "ready.json").exists() for cycle in producer.cycles)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_ends_any_phase(which, phase, dataset, tmp_path):
    arguments, reached = PHASES[phase]
    with producing(tmp_path / "data", *small(dataset, *arguments)) as producer:
        reached(producer)
        begin = time.monotonic()
        assert producer.stop(which) == INTERRUPTED
        assert time.monotonic() - begin < PROMPT_SECONDS
        require_clean(producer)


# All other signals that end a process, except faults of the program and SIGKILL.
OTHER_SIGNALS = ("QUIT", "PIPE", "ALRM", "USR1", "USR2", "VTALRM", "PROF", "XCPU", "XFSZ", "IO", "PWR", "STKFLT")


@pytest.mark.parametrize("which", [*(getattr(signal, f"SIG{name}") for name in OTHER_SIGNALS), signal.SIGRTMIN + 3])
def test_every_signal_ends_it_cleanly(which, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as producer:
        producer.wait_until_idle()
        assert producer.stop(which) == INTERRUPTED
        require_clean(producer)


def test_a_log_without_a_reader_ends_it_cleanly(dataset, tmp_path):
    read_side, write_side = os.pipe()
    arguments = small(dataset, "--cycles-ahead", 1)
    with producing(tmp_path / "data", *arguments, terminal=write_side) as producer:
        os.close(write_side)
        producer.wait_for_cycles(1)
        os.close(read_side)
        shutil.rmtree(producer.cycles[0])
        assert producer.status() == INTERRUPTED  # by SIGPIPE, at the next message
        require_clean(producer)


def test_a_signal_ends_it_while_a_later_cycle_is_made(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--epochs-per-cycle", 300, "--cycles-ahead", 1000)) as producer:
        producer.wait_for_cycles(2)
        begin = time.monotonic()
        assert producer.stop() == INTERRUPTED
        assert time.monotonic() - begin < PROMPT_SECONDS
        require_clean(producer)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0, 0.01, 0.03])
def test_a_signal_ends_it_while_it_starts(which, delay, dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset)) as producer:
        time.sleep(delay)
        # Before main() installs handlers, the default action ends the process; nothing is on disk yet.
        assert producer.stop(which) in (INTERRUPTED, -which)
        require_clean(producer)


def test_it_ends_if_nothing_is_consumed_until_the_timeout(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--timeout", 1)) as producer:
        producer.wait_for_cycles(3)
        assert producer.status() == OK
        assert "nothing was consumed" in producer.said()
        require_clean(producer)


def test_consumption_restarts_the_timeout(dataset, tmp_path):
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


def test_time_while_the_process_is_stopped_does_not_count(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--timeout", 3)) as producer:
        producer.wait_until_idle()
        producer.process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        producer.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        assert producer.process.poll() is None, producer.said()
        assert producer.status() == OK
        assert "nothing was consumed" in producer.said()


def test_an_error_of_stat_is_not_a_removal(dataset, tmp_path, preload):
    flag = tmp_path / "failing"
    with producing(tmp_path / "data", *small(dataset), env={**preload, "STAT_FAILS_FLAG": str(flag)}) as producer:
        producer.wait_until_idle()
        flag.touch()
        time.sleep(0.5)  # it polls ten times a second
        flag.unlink()
        assert producer.process.poll() is None, producer.said()
        assert producer.stop() == INTERRUPTED
        require_clean(producer)


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_that_cannot_be_started_are_a_system_error(threads, dataset, tmp_path, preload):
    environment = {**preload, "NO_THREADS": "1"}
    with producing(tmp_path / "data", *small(dataset, "--threads", threads), env=environment) as producer:
        assert producer.status() == SYSTEM, producer.said()
        assert "cannot start" in producer.said() and "limit on processes" in producer.said()
        assert not producer.alive_file.exists()


def test_the_log_names_the_parent_process_at_start(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--cycles", 1)) as producer:
        assert producer.status() == OK
        first = producer.said().splitlines()[0]
        assert f"ends when process {os.getpid()}" in first and "--parent 0" in first


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_descriptors_damage_nothing(closed, dataset, undisturbed, tmp_path):
    closing = " ".join(f"{descriptor}>&-" for descriptor in closed)
    prefix = ("sh", "-c", f'exec "$@" {closing}', "sh")
    arguments = small(dataset, "--cycles", 2, "--json", "--parent", 0)
    with producing(tmp_path / "data", *arguments, prefix=prefix) as producer:
        assert producer.status() == OK, producer.said()
        for folder in (*producer.cycles, producer.cache / "eval_data"):
            require_equal(folder, undisturbed)


@pytest.mark.parametrize("arguments", [(), ENDLESS_CYCLE], ids=["waiting", "making"])
def test_it_ends_with_its_parent(arguments, dataset, tmp_path):
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


def test_it_ends_if_its_parent_has_ended_before(dataset, tmp_path):
    with producing(tmp_path / "data", *small(dataset, "--parent", 1 << 22)) as producer:
        assert producer.status() == OK
        assert "the parent process ended" in producer.said()
        require_clean(producer)


def test_it_continues_without_a_parent_on_request(dataset, tmp_path):
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

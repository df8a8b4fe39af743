"""The environment of a trainer: forks, other working directories, interrupts, and containers."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from negpipe import producer
from negpipe import tf as negpipe_tf
from pipelines import USUAL
from program import PATIENCE_SECONDS, PROGRAM, wait_until

BEGIN = (
    "import os, sys\nfrom negpipe import tf as n\n"
    "d, cleanup = n.instantiate_pipeline(sys.argv[1], sys.argv[2], 512, 210, eval_negatives=20)\n"
)


def run_script(text, *arguments):
    command = [sys.executable, "-c", text, *map(str, arguments)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome


# ---- messages


@pytest.mark.parametrize(
    ("setting", "times"),
    [
        ("", 1),
        ("logging.basicConfig(level=logging.INFO)", 1),
        ("logging.basicConfig(level=logging.WARNING)", 0),
        ("logging.getLogger('negpipe').setLevel(logging.WARNING)", 0),
        ("logging.getLogger('negpipe').addHandler(logging.NullHandler())", 0),
    ],
    ids=["by default", "root at INFO", "root at WARNING", "switched off", "a handler that is silent"],
)
def test_messages_can_be_turned_off(setting, times):
    text = f"import logging\nfrom negpipe import messages\n{setting}\nmessages.tell('%d batches', 3)\n"
    outcome = run_script(text)
    assert outcome.stderr.count("3 batches") == times
    assert outcome.stdout == ""


def test_hashes_and_waiting_are_seen_by_default(dataset, tmp_path):
    text = "n.make_input_fn(d, True)[0]({'batch_size': 512, 'hash_pipeline': True})\n"
    outcome = run_script(BEGIN + text, dataset, tmp_path)
    assert outcome.stderr.count("[pipeline_hash] All batches hash: ") == 1
    assert outcome.stderr.count("Waiting for the producer to make") == 1


def test_waiting_for_a_cycle_is_logged(pipeline, caplog):
    caplog.set_level("INFO", "negpipe")
    ncf_dataset, _ = pipeline(cycles_ahead=1)
    shutil.rmtree(negpipe_tf.make_input_fn(ncf_dataset, True)[1])
    os.kill(ncf_dataset.producer.process.pid, signal.SIGSTOP)
    shutil.rmtree(ncf_dataset.train_epoch_dir)
    with pytest.raises(TimeoutError):
        negpipe_tf.make_input_fn(ncf_dataset, True, timeout=0.2)
    os.kill(ncf_dataset.producer.process.pid, signal.SIGCONT)
    assert f"Waiting for a cycle in {ncf_dataset.train_epoch_dir}" in caplog.text


# ---- the trainer's process


def test_the_end_of_a_forked_child_does_not_affect_the_pipeline(dataset, tmp_path):
    text = (
        "child = os.fork()\n"
        "if child == 0:\n"
        "  n.make_input_fn(d, True)\n"  # the child may read the data
        "  cleanup()\n"
        "  sys.exit(7)\n"  # runs the inherited atexit handlers
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "assert d.producer.process.poll() is None and d.cache_root.exists()\n"
        "assert [cycle.number for cycle in d.cycles(5)] == [0, 1, 2, 3, 4]\n"
    )
    run_script(BEGIN + text, dataset, tmp_path)
    assert list(tmp_path.glob("*_cache")) == []


def test_another_current_folder_does_not_matter(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dataset, "prepared")
    options = {**USUAL, "log_file": "log", "seed": 1}
    ncf_dataset, cleanup_fn = negpipe_tf.instantiate_pipeline("prepared", "data", **options)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with ncf_dataset:
        assert [cycle.number for cycle in ncf_dataset.cycles(4, timeout=PATIENCE_SECONDS)] == [0, 1, 2, 3]
        assert len(ncf_dataset.user_map) == ncf_dataset.num_users
        assert ncf_dataset.producer.log_file == tmp_path / "log"
    assert not ncf_dataset.cache_root.exists() and list((tmp_path / "elsewhere").iterdir()) == []


def status_of(pid, name):
    """Returns a field of /proc/PID/status, such as State."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(name + ":"))


def has_pending(pid, which):
    return bool(int(status_of(pid, "ShdPnd"), 16) >> (which - 1) & 1)


def test_an_interrupted_cleanup_is_completed_by_the_next_call(pipeline):
    ncf_dataset, cleanup_fn = pipeline()
    process = ncf_dataset.producer.process
    os.kill(process.pid, signal.SIGSTOP)  # so that cleanup has to wait
    wait_until(lambda: status_of(process.pid, "State").startswith("T"), "the producer to stop")

    def press_ctrl_c():
        wait_until(lambda: has_pending(process.pid, signal.SIGINT), "cleanup to ask the producer")
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press_ctrl_c)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        cleanup_fn()
    finger.join()
    assert ncf_dataset.cache_root.exists()
    os.kill(process.pid, signal.SIGCONT)
    cleanup_fn()
    assert process.returncode is not None
    assert not ncf_dataset.cache_root.exists()


@contextlib.contextmanager
def write_protected(folder):
    """Prevents removals from a folder, even for root."""
    mode = folder.stat().st_mode
    user = os.geteuid()
    folder.chmod(0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(mode)


def test_a_cycle_that_cannot_be_deleted_is_not_repeated_forever(pipeline, tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):  # folders that pytest made private
        folder.chmod(0o755)
    ncf_dataset, _ = pipeline()
    cycles = ncf_dataset.cycles()
    first = next(cycles)
    why = "cannot delete .*cycle_00000, which would be read again: .*Permission denied"
    with write_protected(ncf_dataset.train_epoch_dir), pytest.raises(OSError, match=why):
        next(cycles)
    assert os.path.isdir(first.record_dir)


# ---- the producer's process


def test_a_producer_in_a_container_is_alive_while_its_file_exists(dataset, tmp_path):
    apart = ["unshare", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        apart.append("--map-root-user")
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode != 0:
        pytest.skip("a pid namespace of a test's own needs root or user namespaces, which are not to be had here")
    command = [*apart, PROGRAM, "produce", "--data-dir", tmp_path, "--cache-id", "theirs", "--eval-negatives", "20"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as process:
        try:
            ncf_dataset, cleanup_fn = negpipe_tf.instantiate_pipeline(
                dataset, tmp_path, **USUAL, seed=42, use_subprocess=False, cache_id="theirs"
            )
            # Its pid, 1 or 2, names another process here.
            assert json.loads((ncf_dataset.cache_root / "subproc.alive").read_text())["pid"] < 10
            assert [cycle.number for cycle in ncf_dataset.cycles(6, timeout=PATIENCE_SECONDS)] == [0, 1, 2, 3, 4, 5]
            assert ncf_dataset.producer.is_alive()
            (ncf_dataset.cache_root / "subproc.alive").unlink()
            assert not ncf_dataset.producer.is_alive()
            cleanup_fn()
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("changed", "alive"),
    [
        ({}, False),
        ({"boot_id": "of another machine"}, True),
        ({"pid_namespace": "pid:[1]"}, True),
        ({"boot_id": None, "pid_namespace": None}, True),
    ],
    ids=["here", "another machine", "another container", "not known"],
)
def test_a_pid_is_checked_only_in_its_own_namespace(changed, alive, tmp_path):
    with subprocess.Popen(["true"]) as ended:
        pass
    content = {"pid": ended.pid, "start_ticks": 1, **producer._whereabouts(), **changed}
    handle = producer.Producer(tmp_path, "theirs")
    handle.cache_root.mkdir()
    (handle.cache_root / "subproc.alive").write_text(json.dumps(content))
    assert handle.is_alive() == alive
    handle.cleanup()

"""Starting a producer and waiting for it, without TensorFlow."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from negpipe import producer, program
from program import PATIENCE_SECONDS, wait_until

OPTIONS = {"--batch-size": 512, "--eval-batch-size": 210, "--readers": 3, "--eval-negatives": 20, "--seed": 42}


@pytest.fixture
def start(dataset, tmp_path):
    """Starts producers, and ends them at the end of the test."""
    started = []

    def start(**changed):
        options = {**OPTIONS, **{"--" + name.replace("_", "-"): value for name, value in changed.items()}}
        producer.make_cache(tmp_path, f"run{len(started)}")
        started.append(producer.Producer(tmp_path, f"run{len(started)}", tmp_path / "log"))
        started[-1].start(dataset, options, False)
        return started[-1]

    yield start
    for handle in started:
        handle.cleanup()


# ---- names and messages


NO_NAMES = ("", ".", "..", "../x", "a/b", "/x", ".hidden", "a\nb", "a\0b", "\x7f", " a", "a ", "a" * 250, "ä" * 120)


@pytest.mark.parametrize("cache_id", NO_NAMES)
def test_a_cache_id_is_a_plain_name(cache_id, tmp_path):
    with pytest.raises(ValueError, match="^cache_id is "):
        producer.make_cache(tmp_path / "data", cache_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cache_id", ["1", "run-1", "a..b", "it's", "ä b", "-x", "a" * 230])
def test_other_characters_of_a_cache_id_are_allowed(cache_id, tmp_path):
    assert producer.make_cache(tmp_path, cache_id) == tmp_path / f"{cache_id}_ncf_recommendation_cache"


def test_a_refused_start_names_python_arguments(start):
    for changed, words in (
        ({"eval_batch_size": 211}, "eval_batch_size: 211 given"),
        ({"readers": 0}, "num_data_readers: "),
        ({"cycles_ahead": 0}, "cycles_ahead: "),
        ({"device": "abacus"}, "abacus"),
    ):
        handle = start(**changed)
        with pytest.raises(producer.ProducerError, match=f"did not start: .*{words}") as refusal:
            handle.wait_until_alive(PATIENCE_SECONDS)
        assert " --" not in str(refusal.value).partition("(exit status")[0]


def test_an_earlier_producer_of_the_same_log_is_not_quoted(start):
    with pytest.raises(producer.ProducerError, match="211"):
        start(eval_batch_size=211).wait_until_alive(PATIENCE_SECONDS)
    with pytest.raises(producer.ProducerError) as refusal:
        start(eval_batch_size=212).wait_until_alive(PATIENCE_SECONDS)
    assert "212" in str(refusal.value) and "211" not in str(refusal.value)


def test_a_program_that_cannot_be_run_is_named(start, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    monkeypatch.setenv("NEGPIPE_PROGRAM", str(broken))
    with pytest.raises(program.ProgramError, match="broken"):
        start()


def test_a_flag_file_takes_no_path_with_a_line_break(tmp_path):
    plan = producer.Plan(producer.Counts(1, 1, 1), {})
    with pytest.raises(ValueError, match="line break"):
        producer.write_flagfile(tmp_path / "a\n--seed=7", "x", plan, False)


# ---- descriptors


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_closed_descriptors_are_not_reused_for_files(closed, dataset, tmp_path):
    text = (
        "import sys\nfrom negpipe import producer, program\n"
        "root = producer.make_cache(sys.argv[2], 'x')\n"
        "handle = producer.Producer(sys.argv[2], 'x')\n"
        f"handle.start(sys.argv[1], {OPTIONS}, False)\n"
        "handle.wait_until_alive(60)\n"
        "look = lambda: (root / 'eval_data/ready.json').exists() or None\n"
        "handle.wait_for('evaluation data', look)\n"
        "program.run('verify', sys.argv[1], root)\n"
        "with open(sys.argv[3], 'w') as file: print(file.fileno(), file=file)\n"
        "handle.cleanup()\n"
    )
    closing = " ".join(f"{descriptor}>&-" for descriptor in closed)
    command = ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-c", text]
    command += [dataset, tmp_path, tmp_path / "end"]
    outcome = subprocess.run(list(map(str, command)), check=False, timeout=PATIENCE_SECONDS)
    assert outcome.returncode == 0
    assert int((tmp_path / "end").read_text()) > 2
    log = (tmp_path / "data_gen_proc_x.log").read_text()
    assert "cycle 0: " in log and "\0" not in log


def test_messages_are_discarded_if_standard_error_is_closed():
    text = "from negpipe import messages\nmessages.tell('seen')\n"
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", text]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b""


# ---- waiting


def test_time_while_the_trainer_is_stopped_does_not_count():
    text = (
        "import time\nfrom negpipe import producer\n"
        "begin = time.monotonic()\npatience = producer.Patience(3)\nprint('begun', flush=True)\n"
        "while not patience.is_over(): time.sleep(0.05)\n"
        "print(time.monotonic() - begin)\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        process.send_signal(signal.SIGCONT)
        assert float(process.stdout.readline()) > 5.5  # 4 stopped seconds count as 1


def test_without_a_timeout_waiting_never_ends():
    assert not producer.Patience(None).is_over()
    assert producer.Patience(0).is_over()


@pytest.mark.parametrize("kind", ["fifo", "folder", "large", "garbage", "nested"])
def test_an_unreadable_liveness_file_does_not_block(kind, tmp_path):
    handle = producer.Producer(tmp_path, "theirs")
    handle.cache_root.mkdir()
    alive = handle.cache_root / "subproc.alive"
    if kind == "fifo":
        os.mkfifo(alive)
    elif kind == "folder":
        alive.mkdir()
    else:
        alive.write_bytes({"large": b" " * (2 << 20), "garbage": b"\xff\0", "nested": b"[" * 100_000}[kind])
    assert handle.is_alive()  # it exists, and does not name a process that has ended
    handle.cleanup()
    assert not handle.cache_root.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"users": "many", "items": 1, "positives": 1}', "[" * 100_000])
def test_an_invalid_dataset_is_a_value_error(content, tmp_path):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match="dataset.json does not describe a dataset"):
        producer.read_counts(tmp_path)


def test_cleanup_hides_the_cache_in_one_step(start, monkeypatch):
    handle = start()
    handle.wait_until_alive(PATIENCE_SECONDS)
    wait_until(lambda: (handle.cache_root / "eval_data/ready.json").exists(), "some data")
    seen = []
    delete = producer.removal._delete

    def look_and_delete(path):
        seen.append(handle.cache_root.exists())
        delete(path)

    monkeypatch.setattr(producer.removal, "_delete", look_and_delete)
    handle.cleanup()
    assert seen == [False]
    assert [path.name for path in handle.data_dir.iterdir()] == ["log"]


def test_cleanup_removes_the_cache_of_another_processs_producer(dataset, tmp_path):
    command = [program.find_program(), "produce", dataset, "--data-dir", tmp_path, "--cache-id", "theirs", "--parent=0"]
    command += [f"{name}={value}" for name, value in OPTIONS.items()]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        handle = producer.Producer(tmp_path, "theirs")
        wait_until(lambda: (handle.cache_root / "eval_data/ready.json").exists(), "some data")
        handle.cleanup()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert "subproc.alive was removed" in process.stderr.read()
    assert list(pathlib.Path(tmp_path).iterdir()) == []


def test_subproc_alive_is_identified_by_its_content(start):
    handle = start()
    handle.wait_until_alive(PATIENCE_SECONDS)
    assert json.loads(producer.read_small_file(handle.cache_root / "subproc.alive"))["pid"] == handle.process.pid

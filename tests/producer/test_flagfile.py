"""The command line and the flag file of the 2018 pipeline."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from producing import PROMPT_SECONDS, producing, require_equal, wait_until
from program import INTERRUPTED, OK, PROGRAM, USAGE

FLAGS = {
    "num_workers": 1,
    "num_readers": 3,
    "num_neg": 4,
    "epochs_per_cycle": 1,
    "train_batch_size": 512,
    "eval_batch_size": 210,
    "redirect_logs": "False",
    "use_tf_logging": "True",
    "seed": 42,
    "ml_perf": "False",
}


@pytest.fixture
def data_dir(dataset, tmp_path):
    """A data folder of a trainer: the dataset in the cache folder, and no flag file yet."""
    cache = tmp_path / "data" / "test_ncf_recommendation_cache"
    cache.mkdir(parents=True)
    (cache / "dataset").symlink_to(dataset)
    return tmp_path / "data"


def write_flags(folder, **changed):
    counts = json.loads((folder / "test_ncf_recommendation_cache/dataset/dataset.json").read_text())
    flags = {
        **FLAGS,
        "data_dir": folder,
        "cache_id": "test",
        "num_users": counts["users"],
        "num_items": counts["items"],
        "num_train_positives": counts["positives"],
        **changed,
    }
    text = "# as the trainer wrote it\n\n" + "".join(f"--{name}={value}\n" for name, value in flags.items())
    staging = folder / "staging"
    staging.write_text(text)
    staging.rename(folder / "test_ncf_recommendation_cache/flagfile")


def test_the_2018_command_line_works(data_dir, undisturbed):
    with producing(data_dir, "--eval-negatives", 20) as producer:
        wait_until(lambda: "waiting for the flag file" in producer.said(), "the producer to wait")
        assert producer.process.poll() is None and not producer.cycles
        write_flags(data_dir)
        producer.wait_for_cycles(3)
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)
        require_equal(producer.cache / "eval_data", undisturbed)
        assert "use_tf_logging" in producer.said()


def test_options_in_the_old_spelling_work(data_dir):
    write_flags(data_dir)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1, spelled=("--data_dir", "--cache_id")) as producer:
        assert producer.status() == OK, producer.said()


def test_the_command_line_takes_precedence(data_dir):
    write_flags(data_dir)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1, "--batch-size", 256) as producer:
        assert producer.status() == OK, producer.said()
        assert json.loads((producer.cycles[0] / "ready.json").read_text())["batch_size"] == 256


def test_redirected_logs_go_to_a_file(data_dir):
    write_flags(data_dir, redirect_logs="True")
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1) as producer:
        assert producer.status() == OK
        assert "cycle 0" in (data_dir / "data_gen_proc_test.log").read_text()
        assert producer.said() == ""


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"spillover": "True"}, ['"spillover"', "flagfile:"]),
        ({"num_neg": "four"}, ["--num_neg", '"four"']),
        ({"num_neg": -1}, ["--num_neg", '"-1"']),
        ({"num_readers": 1 << 40}, ["--num_readers", "at most"]),
        ({"ml_perf": "perhaps"}, ["--ml_perf", '"perhaps"']),
        ({"num_users": 61}, ["--num_users=61", "60"]),
        ({"num_items": 5}, ["--num_items=5"]),
        ({"num_train_positives": 5}, ["--num_train_positives=5"]),
        ({"cache_id": "other"}, ["--cache_id=other", "test"]),
        ({"data_dir": "/tmp"}, ["--data_dir=/tmp", "data"]),
    ],
)
def test_errors_name_the_flag(changed, named, data_dir):
    write_flags(data_dir, **changed)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1) as producer:
        assert producer.status() == USAGE
        assert [word for word in named if word not in producer.said()] == []
        assert not producer.cycles


@pytest.mark.parametrize("way", ["--log-file", "redirect_logs"])
def test_errors_are_in_the_log_too(way, data_dir, tmp_path):
    # The wrong line precedes the one that redirects the logs.
    write_flags(data_dir, num_neg="four", redirect_logs=str(way == "redirect_logs"))
    log = tmp_path / "log" if way == "--log-file" else data_dir / "data_gen_proc_test.log"
    with producing(data_dir, *(["--log-file", log] if way == "--log-file" else [])) as producer:
        assert producer.status() == USAGE
        assert "--num_neg" in producer.said()
        assert '--num_neg is "four"' in log.read_text()


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../data/.", "{}/../link", "data"])
def test_another_spelling_of_the_data_folder_is_equal(spelling, data_dir):
    (data_dir.parent / "link").symlink_to(data_dir)
    write_flags(data_dir, data_dir=spelling.format(data_dir))
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1, cwd=data_dir.parent) as producer:
        assert producer.status() == OK, producer.said()


def test_booleans_without_a_value_are_accepted(data_dir):
    cache = data_dir / "test_ncf_recommendation_cache"
    write_flags(data_dir)
    text = (
        (cache / "flagfile")
        .read_text()
        .replace("--ml_perf=False", "--noml_perf")
        .replace("--use_tf_logging=True", "--use_tf_logging")
    )
    (cache / "flagfile").write_text(text)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1) as producer:
        assert producer.status() == OK, producer.said()


@pytest.mark.parametrize("text", ["true", "TRUE", "t", "Yes", "y", "1", "false", "f", "NO", "n", "0"])
def test_booleans_are_accepted_in_any_spelling(text, data_dir):
    write_flags(data_dir, ml_perf=text)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1) as producer:
        assert producer.status() == OK, producer.said()
        mlperf = json.loads((producer.cache / "eval_data/ready.json").read_text())["mlperf"]
        assert mlperf == (text.lower() in ("true", "t", "yes", "y", "1"))


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_for_the_flag_file(which, data_dir, tmp_path):
    log = tmp_path / "log"
    with producing(data_dir, "--log-file", log) as producer:
        wait_until(lambda: log.exists() and "waiting for the flag file" in log.read_text(), "the producer to wait")
        begin = time.monotonic()
        assert producer.stop(which) == INTERRUPTED
        assert time.monotonic() - begin < PROMPT_SECONDS
        assert log.read_text().splitlines()[-1].endswith("unfinished output has been removed")
        assert sorted(path.name for path in producer.cache.iterdir()) == ["dataset"]


def test_the_end_of_the_parent_ends_the_wait_for_the_flag_file(data_dir, tmp_path):
    log = tmp_path / "log"
    command = [PROGRAM, "produce", "--data-dir", data_dir, "--cache-id", "test", "--log-file", log]
    script = "import subprocess, sys, time\nsubprocess.Popen(sys.argv[1:])\ntime.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", script, *map(str, command)])
    wait_until(lambda: log.exists() and "waiting for the flag file" in log.read_text(), "the producer to wait")
    parent.kill()
    parent.wait()
    begin = time.monotonic()
    wait_until(lambda: "the parent process ended; made 0 cycles" in log.read_text(), "the producer to end")
    assert time.monotonic() - begin < PROMPT_SECONDS
    pid = re.search(r"produce \[(\d+)\]", log.read_text())[1]
    wait_until(lambda: not alive(pid), "the process to be gone")


def alive(pid):
    """Returns whether a process runs; a zombie does not."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_flag_file_that_never_appears_is_an_error(tmp_path):
    with producing(tmp_path / "data", "--timeout", 1) as producer:
        assert producer.status() == USAGE
        assert "did not appear" in producer.said()

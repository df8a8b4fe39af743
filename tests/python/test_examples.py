"""The example trains, stops, and gives the same run with the same seed."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from program import negpipe

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "python" / "examples"
SMALL_MODEL = ("--num-factors", "4", "--layers", "16,8", "--batch-size", "512", "--eval-batch-size", "10000")


@pytest.fixture(scope="module")
def shape(tmp_path_factory):
    """A dataset whose users have 999 items left."""
    folder = tmp_path_factory.mktemp("shape") / "data"
    negpipe("synth", "--users", 120, "--items", 2500, "--positives", 5000, "--seed", 1, "--out", folder)
    return folder


def train(shape, folder, *arguments):
    command = [sys.executable, EXAMPLES / "train_neumf.py", "--dataset", shape, "--data_dir", folder, *SMALL_MODEL]
    outcome = subprocess.run([*map(str, command), *arguments], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def test_a_seed_determines_a_run(shape, tmp_path):
    first = train(shape, tmp_path / "first", "--train_epochs=2", "--seed=3")
    lines = re.findall(r"^Iteration (\d): HR = (0\.\d{4}), NDCG = (0\.\d{4})$", first, re.MULTILINE)
    assert [line[0] for line in lines] == ["1", "2"]
    assert first.count("[pipeline_hash] All batches hash") == 3
    second = train(shape, tmp_path / "second", "--train-epochs=2", "--seed=3")

    def without_times(text):
        return [line for line in text.splitlines() if not line.startswith(("Trained", "Waiting for"))]

    assert without_times(second) == without_times(first)
    history = json.loads((tmp_path / "first/metrics.json").read_text())["history"]
    assert [f"{entry['hr']:.4f}" for entry in history] == [line[1] for line in lines]
    assert (tmp_path / "first/metrics.png").stat().st_size > 0
    assert list((tmp_path / "first").glob("*_cache")) == []


def test_waiting_for_the_first_cycle_counts(shape, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import train_neumf

    instantiate_pipeline = train_neumf.negpipe_tf.instantiate_pipeline
    cycles_late_seconds = 3

    def with_a_producer_that_rests(*arguments, **options):
        ncf_dataset, cleanup_fn = instantiate_pipeline(*arguments, **options)
        pid = ncf_dataset.producer.process.pid
        os.kill(pid, signal.SIGSTOP)
        while f"{pid} (negpipe) T " not in pathlib.Path(f"/proc/{pid}/stat").read_text():
            time.sleep(0.005)
        shutil.rmtree(ncf_dataset.train_epoch_dir)  # what it has written so far
        threading.Timer(cycles_late_seconds, os.kill, (pid, signal.SIGCONT)).start()
        return ncf_dataset, cleanup_fn

    monkeypatch.setattr(train_neumf.negpipe_tf, "instantiate_pipeline", with_a_producer_that_rests)
    words = ["--dataset", shape, "--data_dir", tmp_path, "--train_epochs", 1, *SMALL_MODEL]
    (found,) = train_neumf.run(train_neumf.parse_arguments(train_neumf.make_parser(), list(map(str, words))))
    assert cycles_late_seconds / 3 < found["waiting_seconds"] < found["training_seconds"]


def test_the_threshold_ends_a_timed_run(shape, tmp_path):
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "EXTRA_ARGUMENTS": " ".join(SMALL_MODEL)}
    outcome = subprocess.run(
        [EXAMPLES / "run.sh", shape, "0.0", "1"], capture_output=True, text=True, check=False, env=environment
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.count("Iteration") == 1
    assert re.search(r"Run 1 complete: \d+ seconds\.", outcome.stdout)
    assert "Reached the hit rate 0.0" in (tmp_path / "run_1.log").read_text()


def test_two_feeds_are_compared(shape, tmp_path, monkeypatch):
    command = [sys.executable, EXAMPLES / "compare_feeds.py", "--dataset", shape, "--out", tmp_path, *SMALL_MODEL]
    command += ["--train-epochs", 1, "--seeds", 1, "--first-seed", 7]
    outcome = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    table = (tmp_path / "table.md").read_text()
    assert re.search(r"Found: [+-]0\.\d{4}, standard error nan\. It (holds|does not hold)\.\n$", table)
    content = json.loads((tmp_path / "runs.json").read_text())
    assert content.keys() >= {"cpu", "cores", "date", "commit", "load_before", "command", "options"}
    assert content["options"]["train_epochs"] == 1 and "--first-seed 7" in content["command"]
    assert [(run["feed"], run["seed"], len(run["hr"])) for run in content["runs"]] == [
        ("negpipe", 7, 1),
        ("numpy_2018", 7, 1),
    ]
    assert (tmp_path / "hit_rate.png").stat().st_size > 0
    monkeypatch.syspath_prepend(EXAMPLES)
    import compare_feeds

    assert compare_feeds.read_runs(tmp_path / "runs.json", content["options"]) == content["runs"]
    with pytest.raises(SystemExit, match="other options"):
        compare_feeds.read_runs(tmp_path / "runs.json", {**content["options"], "batch_size": 7})


def test_the_rule_of_the_comparison(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import compare_feeds
    import train_neumf

    arguments = train_neumf.make_parser().parse_args(["--train_epochs", "5"])

    def runs(feed, last_cycles):
        """Runs of seeds 1, 2 and so on, whose first cycles must have no weight."""
        return [
            {"feed": feed, "seed": seed, "hr": [0.9, 0.0, *rates], "ndcg": [0.1] * 5}
            | {"waiting_seconds": 1.0, "training_seconds": 4.0}
            for seed, rates in enumerate(last_cycles, 1)
        ]

    first = runs("negpipe", [(0.300, 0.310, 0.320), (0.320, 0.330, 0.340)])  # 0.31 and 0.33
    near = runs("numpy_2018", [(0.300, 0.301, 0.320), (0.331, 0.320, 0.328)])  # 0.307 and 0.3263
    table = compare_feeds.make_table(first + near, arguments)
    # The errors of the means: 0.02 / 2 and 0.0193 / 2.
    assert "HR@10, averaged over each run's last 3 cycles, differs by at most 0.005 in the mean over the seeds" in table
    assert table.endswith("Found: +0.0033, standard error 0.0139. It holds.\n")
    far = runs("numpy_2018", [(0.300, 0.290, 0.310), (0.320, 0.320, 0.335)])  # 0.3 and 0.325
    unpaired = [{**far[0], "seed": 3, "hr": [0.0] * 5}]
    table = compare_feeds.make_table(first + far + unpaired, arguments)
    assert table.endswith("Found: +0.0075, standard error 0.0160. It does not hold.\n")
    assert "| last 3 | 0.3200 (0.0141) | 0.3125 (0.0177) | +0.0075 (0.0160) | 0.1000 (0.0000) |" in table
    assert "negpipe 25.0% (of 25.0% to 25.0%)." in table


def test_a_failure_is_shown(tmp_path):
    outcome = subprocess.run(
        [EXAMPLES / "run.sh", tmp_path / "none"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATA_DIR": str(tmp_path)},
    )
    assert outcome.returncode != 0
    assert "neither a ratings file" in outcome.stdout

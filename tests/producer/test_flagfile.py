"""The call and the flag file of 2018."""

import json
import time

import pytest
from producing import producing, require_equal
from program import OK, USAGE

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
    """A data folder as a trainer leaves it: the dataset in the cache folder, and no flag file yet."""
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


def test_the_old_call_works(data_dir, undisturbed):
    with producing(data_dir, "--eval-negatives", 20) as producer:
        time.sleep(0.3)
        assert producer.process.poll() is None and not producer.cycles  # it waits for the flag file
        write_flags(data_dir)
        producer.wait_for_cycles(3)
        for cycle in producer.cycles:
            require_equal(cycle, undisturbed)
        require_equal(producer.cache / "eval_data", undisturbed)
        assert "use_tf_logging" in producer.said()


def test_old_spelling_of_options(data_dir):
    write_flags(data_dir)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1, spelled=("--data_dir", "--cache_id")) as producer:
        assert producer.status() == OK, producer.said()


def test_the_command_line_goes_first(data_dir):
    write_flags(data_dir)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1, "--batch-size", 256) as producer:
        assert producer.status() == OK, producer.said()
        assert json.loads((producer.cycles[0] / "ready.json").read_text())["batch_size"] == 256


def test_redirected_logs(data_dir):
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
    ],
)
def test_what_is_wrong_is_refused_by_name(changed, named, data_dir):
    write_flags(data_dir, **changed)
    with producing(data_dir, "--eval-negatives", 20, "--cycles", 1) as producer:
        assert producer.status() == USAGE
        assert [word for word in named if word not in producer.said()] == []
        assert not producer.cycles


def test_truth_values_without_a_value(data_dir):
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


def test_a_flag_file_that_never_comes(tmp_path):
    with producing(tmp_path / "data", "--timeout", 1) as producer:
        assert producer.status() == USAGE
        assert "has not appeared" in producer.said()

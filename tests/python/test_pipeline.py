"""The functions of the 2018 pipeline, with a real producer."""

import collections
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from negpipe import producer, program, records
from negpipe import tf as negpipe_tf
from pipelines import PARAMS, USUAL, hashes
from program import PROGRAM, SMALL, negpipe

def test_two_cycles_equal_those_of_the_program(pipeline, run):
    ncf_dataset, cleanup_fn = pipeline()
    wanted = {entry["name"]: entry for entry in json.loads(negpipe("hash", run, "--json").stdout)["folders"]}
    for name in ("cycle_00000", "cycle_00001"):
        input_fn, record_dir, batch_count = negpipe_tf.make_input_fn(ncf_dataset, True)
        assert record_dir.endswith(name) and batch_count == ncf_dataset.num_train_steps
        assert hashes(input_fn) == tuple(wanted[name][key] for key in ("batch_count", "all_batches", "first_batch"))
        shutil.rmtree(record_dir)
    input_fn, record_dir, batch_count = negpipe_tf.make_input_fn(ncf_dataset, False)
    assert record_dir.endswith("eval_data") and batch_count == ncf_dataset.num_eval_steps
    assert hashes(input_fn)[1] == wanted["eval_data"]["all_batches"]
    process = ncf_dataset.producer.process
    cleanup_fn()
    assert process.returncode == 130  # ended by the first signal
    assert not ncf_dataset.cache_root.exists()
    cleanup_fn()


def test_iterating_over_cycles(pipeline, run):
    wanted = [entry.all_batches for entry in records.hash(run)[:2]]
    ncf_dataset, _ = pipeline()
    with ncf_dataset:
        found, folders = [], []
        for cycle in ncf_dataset.cycles(2):
            found.append((cycle.number, negpipe_tf.hash_pipeline(cycle.dataset, True).all_batches))
            folders.append(cycle.record_dir)
            assert os.path.isdir(cycle.record_dir)
        assert found == list(enumerate(wanted))
        assert not any(map(os.path.exists, folders))
        assert len(list(ncf_dataset.evaluation_dataset())) == ncf_dataset.num_eval_steps
    assert not ncf_dataset.cache_root.exists()


def test_attributes(pipeline, dataset, ratings):
    counts = json.loads((dataset / "dataset.json").read_text())
    ncf_dataset, _ = pipeline(epochs_per_cycle=3)
    assert (ncf_dataset.num_users, ncf_dataset.num_items) == (counts["users"], counts["items"])
    assert ncf_dataset.num_train_positives == counts["positives"]
    assert ncf_dataset.num_train_steps == int(np.ceil(3 * counts["positives"] * 5 / 512))
    assert ncf_dataset.num_eval_steps == int(np.ceil(counts["users"] * 21 / 210))
    _, _, batch_count = negpipe_tf.make_input_fn(ncf_dataset, True)
    assert batch_count == ncf_dataset.num_train_steps
    rows = [line.split(",")[:2] for line in ratings.read_text().splitlines()[1:]]
    assert list(ncf_dataset.user_map) == list(dict.fromkeys(int(user) for user, _ in rows))
    assert list(ncf_dataset.item_map) == list(dict.fromkeys(int(item) for _, item in rows))
    assert list(ncf_dataset.user_map.values()) == list(range(counts["users"]))


def test_a_pipeline_without_evaluation_makes_cycles_only(pipeline):
    ncf_dataset, _ = pipeline(evaluation=False, eval_negatives=10**6, eval_batch_size=10**6 + 1)
    for cycle in ncf_dataset.cycles(1):
        assert cycle.batch_count == ncf_dataset.num_train_steps
    assert ncf_dataset.num_eval_steps == 0 and not ncf_dataset.eval_data_subdir.exists()
    with pytest.raises(ValueError, match="evaluation=False"):
        negpipe_tf.make_input_fn(ncf_dataset, False)


@pytest.mark.parametrize("as_file", [False, True])
def test_pairwise_rows_and_weights_equal_those_of_the_program(as_file, pipeline, dataset, tmp_path):
    items = json.loads((dataset / "dataset.json").read_text())["items"]
    weights = np.arange(items, dtype=np.int16) % 5 + 1
    np.save(tmp_path / "weights.npy", weights.astype(int))
    negpipe("generate", dataset, "--out", tmp_path / "run", "--seed", 42, *SMALL, "--layout", "pairwise", "--weights",
            tmp_path / "weights.npy", "--eval-distribution", "popularity", "--eval-alpha", 0.5)
    ncf_dataset, _ = pipeline(layout="pairwise", weights=str(tmp_path / "weights.npy") if as_file else weights,
                              eval_distribution="popularity", eval_alpha=0.5)
    cycle, evaluation = records.hash(tmp_path / "run")
    with ncf_dataset:
        for found in ncf_dataset.cycles(1):
            assert found.batch_count == ncf_dataset.num_train_steps
            assert found.dataset.element_spec["negative_item_id"].shape == (512, 4)
            assert negpipe_tf.hash_pipeline(found.dataset, True).all_batches == cycle.all_batches
        rows = ncf_dataset.evaluation_dataset()
        assert negpipe_tf.hash_pipeline(rows, True).all_batches == evaluation.all_batches


def test_distributions_that_do_not_fit_are_refused_by_argument(pipeline):
    for options, message in [({"alpha": 0.5}, "alpha: is for the distribution popularity only"),
                             ({"eval_weights": [1]}, "eval_weights: 1 weights given"),
                             ({"weights": [0.5]}, "weights is float64; expected integers")]:
        with pytest.raises(ValueError, match=message):
            pipeline(**options)


@pytest.mark.parametrize("padding", ["mask", "drop"])
def test_paddings(padding, pipeline):
    ncf_dataset, _ = pipeline(padding=padding)
    for cycle in ncf_dataset.cycles(1):
        assert len(list(cycle.dataset)) == cycle.batch_count == ncf_dataset.num_train_steps


def test_the_checks_of_2018(ratings, pipeline):
    """Every positive occurs once, labels are right, users get different items, negatives vary."""
    rows = [tuple(map(int, line.split(",")[:2])) for line in ratings.read_text().splitlines()[1:]]
    seen_pairs = set(rows)
    ncf_dataset, _ = pipeline(ratings)
    user_of = {number: raw for raw, number in ncf_dataset.user_map.items()}
    item_of = {number: raw for raw, number in ncf_dataset.item_map.items()}
    input_fn, _, _ = negpipe_tf.make_input_fn(ncf_dataset, True)
    examples = {True: collections.Counter(), False: collections.Counter()}
    for features, labels in input_fn({**PARAMS, "use_tpu": False}):
        for user, item, label in zip(
            features["user_id"].numpy(), features["item_id"].numpy(), labels.numpy(), strict=True
        ):
            examples[bool(label)][user_of[user], item_of[item]] += 1
    heldout = seen_pairs - set(examples[True])
    assert len(examples[True]) == ncf_dataset.num_train_positives
    assert set(examples[True]) <= seen_pairs
    assert len(heldout) == ncf_dataset.num_users == len({user for user, _ in heldout})
    assert set(examples[False]) & seen_pairs <= heldout  # the held-out item may be drawn
    assert len(examples[False]) / ncf_dataset.num_train_positives / 4 > 0.7
    input_fn, _, _ = negpipe_tf.make_input_fn(ncf_dataset, False)
    items = np.concatenate([batch["item_id"].numpy().reshape(-1, 21) for batch in input_fn(PARAMS)])
    users = np.concatenate([batch["user_id"].numpy().reshape(-1, 21) for batch in input_fn(PARAMS)])
    assert (users[: ncf_dataset.num_users] == np.arange(ncf_dataset.num_users)[:, None]).all()
    assert len({tuple(row) for row in items[: ncf_dataset.num_users]}) == ncf_dataset.num_users


def test_mlperf_with_fewer_items_than_negatives(tmp_path):
    rows = [(user, item) for user in (1, 2) for item in range(10) if (user + item) % 3]
    text = "user_id,item_id,rating,timestamp\n" + "".join(f"{u},{i},1,{t}\n" for t, (u, i) in enumerate(rows))
    (tmp_path / "ratings.csv").write_text(text)
    options = {"batch_size": 8, "eval_batch_size": 2000, "match_mlperf": True, "min_ratings": 2, "seed": 3}
    ncf_dataset, _ = negpipe_tf.instantiate_pipeline(tmp_path / "ratings.csv", tmp_path, **options)
    with ncf_dataset:
        assert ncf_dataset.num_items == 10
        input_fn, _, _ = negpipe_tf.make_input_fn(ncf_dataset, False)
        (batch,) = input_fn({"eval_batch_size": 2000})
    items = batch["item_id"].numpy().reshape(2, 1000)
    assert (batch["user_id"].numpy().reshape(2, 1000) == [[0], [1]]).all()
    assert (items[0] != items[1]).any()
    assert (batch["duplicate_mask"].numpy().reshape(2, 1000).sum(axis=1) > 990).all()


def test_numpys_seed_determines_a_deterministic_run(pipeline):
    outcomes = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        ncf_dataset, cleanup_fn = pipeline(seed=None, cache_id=len(outcomes))
        outcomes.append(hashes(negpipe_tf.make_input_fn(ncf_dataset, True)[0]))
        cleanup_fn()
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_reading_without_an_order_gives_the_same_points(pipeline, run):
    def points(batches):
        return collections.Counter(
            row for users, items, labels in batches for row in zip(users, items, labels, strict=True)
        )

    ncf_dataset, _ = pipeline(deterministic=False)
    input_fn, _, _ = negpipe_tf.make_input_fn(ncf_dataset, True)
    found = points(
        (features["user_id"].numpy(), features["item_id"].numpy(), labels.numpy())
        for features, labels in input_fn(PARAMS)
    )
    folder = records.RecordFolder(run / "training_epochs/cycle_00000")
    assert found == points((batch["user_id"], batch["item_id"], batch["labels"]) for batch in folder.batches())


def test_hashes_are_logged(pipeline, run, caplog):
    caplog.set_level(logging.INFO, "negpipe")
    ncf_dataset, _ = pipeline()
    negpipe_tf.make_input_fn(ncf_dataset, True)[0]({**PARAMS, "hash_pipeline": True})
    wanted = records.hash(run)[0]
    assert f"[pipeline_hash] First batch hash: {wanted.first_batch}" in caplog.text
    assert f"[pipeline_hash] All batches hash: {wanted.all_batches}" in caplog.text


# ---- errors


def test_another_batch_size_is_refused(pipeline):
    ncf_dataset, _ = pipeline()
    with pytest.raises(ValueError, match="batches of 512, but params ask for 256"):
        negpipe_tf.make_input_fn(ncf_dataset, True)[0]({"batch_size": 256})
    with pytest.raises(ValueError, match="batches of 210"):
        negpipe_tf.make_input_fn(ncf_dataset, False)[0]({"batch_size": 512})


def test_another_step_count_is_refused(pipeline):
    ncf_dataset, _ = pipeline()
    ncf_dataset.num_train_steps += 1
    with pytest.raises(ValueError, match="Step counts do not match"):
        negpipe_tf.make_input_fn(ncf_dataset, True)


def test_a_dead_producer_is_reported(pipeline):
    ncf_dataset, _ = pipeline(cycles_ahead=1)
    negpipe_tf.make_input_fn(ncf_dataset, True)
    negpipe_tf.make_input_fn(ncf_dataset, False)  # after the messages about cycle 0
    ncf_dataset.producer.process.kill()
    ncf_dataset.producer.process.wait()
    # Published cycles can still be read.
    negpipe_tf.make_input_fn(ncf_dataset, True)
    shutil.rmtree(ncf_dataset.train_epoch_dir)
    with pytest.raises(negpipe_tf.ProducerError, match="has died.*exit status -9.*cycle 0"):
        negpipe_tf.make_input_fn(ncf_dataset, True)


def test_waiting_times_out(pipeline):
    ncf_dataset, _ = pipeline(cycles_ahead=1)
    negpipe_tf.make_input_fn(ncf_dataset, True)
    os.kill(ncf_dataset.producer.process.pid, signal.SIGSTOP)
    try:
        for cycle in ncf_dataset.train_epoch_dir.iterdir():
            shutil.rmtree(cycle)
        with pytest.raises(TimeoutError, match="0.3 s"):
            negpipe_tf.make_input_fn(ncf_dataset, True, timeout=0.3)
    finally:
        os.kill(ncf_dataset.producer.process.pid, signal.SIGCONT)


def test_a_producer_that_does_not_start_gives_the_reason(pipeline, tmp_path):
    with pytest.raises(negpipe_tf.ProducerError, match="did not start: eval_batch_size: 211 given"):
        pipeline(eval_batch_size=211)
    assert list((tmp_path / "data").glob("*_cache")) == []


def test_a_producer_that_hangs_is_killed(pipeline):
    ncf_dataset, cleanup_fn = pipeline()
    process = ncf_dataset.producer.process
    os.kill(process.pid, signal.SIGSTOP)  # only SIGKILL ends a stopped process
    begin = time.monotonic()
    cleanup_fn()
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - begin < 20
    assert not ncf_dataset.cache_root.exists()


@pytest.mark.parametrize(
    ("source", "wanted"),
    [("ml-2000m", "neither a ratings file"), ("ml-1m", "found no ml-1m"), ("/dev/null", "prepare")],
)
def test_invalid_datasets(source, wanted, pipeline, tmp_path):
    with pytest.raises((ValueError, program.ProgramError), match=wanted):
        pipeline(source)
    assert list((tmp_path / "data").glob("*_cache")) == []


def test_messages_that_are_not_utf8_arrive(pipeline, tmp_path):
    for name, first_id in (("latin.csv", "Jos\u00e9".encode("latin-1")), ("long.csv", b"x" + "\u00e9".encode() * 40)):
        rows = b"user_id,item_id,timestamp\n" + first_id + b",a,1\n" + first_id + b",a,2\n"
        (tmp_path / name).write_bytes(rows)
        with pytest.raises(program.ProgramError, match="are already in line 2"):
            pipeline(tmp_path / name)


def test_ids_that_are_not_utf8_keep_their_bytes(tmp_path):
    name = "Jos\u00e9".encode("latin-1")
    (tmp_path / "r.csv").write_bytes(b"user_id,item_id,timestamp\n" + name + b",a,1\n" + name + b",b,2\n")
    negpipe("prepare", tmp_path / "r.csv", "--out", tmp_path / "d", "--min-ratings", 1)
    (found,) = producer.raw_ids(tmp_path / "d", "user_ids")
    assert found.encode("utf-8", "surrogateescape") == name


def test_known_names_are_checked_for_their_counts(ratings, pipeline, tmp_path):
    (tmp_path / "data/ml-1m").mkdir(parents=True)
    shutil.copy(ratings, tmp_path / "data/ml-1m/ratings.csv")
    with pytest.raises(program.ProgramError, match="6,?040"):
        pipeline("ml-1m")


@pytest.fixture(scope="module")
def ml_1m_shape(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shape") / "prepared"
    negpipe("synth", "--like", "ml-1m", "--seed", 1, "--out", folder)
    return folder


def test_known_names_can_be_prepared_datasets(ml_1m_shape, pipeline, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/ml-1m").symlink_to(ml_1m_shape)
    ncf_dataset, cleanup_fn = pipeline("ml-1m")
    assert (ncf_dataset.num_users, ncf_dataset.num_items) == (6040, 3706)
    cleanup_fn()
    assert (tmp_path / "data/ml-1m/dataset.json").exists()


def test_prepared_folders_are_checked_for_their_counts(dataset, pipeline, tmp_path):
    shutil.copytree(dataset, tmp_path / "data/ml-20m")
    with pytest.raises(ValueError, match="60 users and 300 items, but ml-20m has 138493 and 26744"):
        pipeline("ml-20m")


def test_known_names_are_looked_for_in_the_data_folder_first(dataset, ml_1m_shape, pipeline, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (here / "ml-1m").symlink_to(dataset)
    monkeypatch.chdir(here)
    with pytest.raises(ValueError, match="60 users"):
        pipeline("ml-1m")
    assert pipeline("./ml-1m")[0].num_users == 60
    (tmp_path / "data/ml-1m").symlink_to(ml_1m_shape)
    assert pipeline("ml-1m")[0].num_users == 6040


@pytest.mark.parametrize("timeout", [7200.0, np.float32(0.5), float("inf")])
def test_timeouts_of_any_kind(timeout, pipeline):
    assert next(pipeline(timeout=timeout)[0].cycles(1)).number == 0


def test_a_slash_in_the_name_is_refused(pipeline, tmp_path):
    with pytest.raises(ValueError, match="cache_id is 'a/b'.*cannot contain a /"):
        pipeline(cache_id="a/b")
    assert not (tmp_path / "data").exists()


def test_the_producer_does_not_use_the_gpu_by_default(pipeline):
    def said(**options):
        ncf_dataset, _ = pipeline(**options)
        negpipe_tf.make_input_fn(ncf_dataset, True)
        return ncf_dataset.producer.log_file.read_text()

    text = said()
    assert "backend: cpu" in text and "is not used" not in text  # no other device was tried
    assert "cuda is not used" in said(device="auto")


def test_a_cache_in_use_is_refused(pipeline, tmp_path):
    pipeline(cache_id="mine")
    with pytest.raises(ValueError, match="mine_ncf_recommendation_cache exists already"):
        pipeline(cache_id="mine")
    assert (tmp_path / "data/mine_ncf_recommendation_cache").exists()


def test_a_producer_started_by_another_process(dataset, run, tmp_path):
    command = [PROGRAM, "produce", "--data_dir", tmp_path, "--cache_id", "theirs", "--eval-negatives", "20"]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as process:
        ncf_dataset, cleanup_fn = negpipe_tf.instantiate_pipeline(
            dataset, tmp_path, **USUAL, deterministic=True, seed=42, use_subprocess=False, cache_id="theirs"
        )
        input_fn, _, _ = negpipe_tf.make_input_fn(ncf_dataset, True)
        assert hashes(input_fn)[1] == records.hash(run)[0].all_batches
        process.kill()
        process.wait()
        shutil.rmtree(ncf_dataset.train_epoch_dir)
        # subproc.alive still exists, but names a process that has ended.
        with pytest.raises(negpipe_tf.ProducerError, match="has died"):
            negpipe_tf.make_input_fn(ncf_dataset, True)
        cleanup_fn()


def test_the_end_of_the_interpreter_cleans_up(dataset, tmp_path):
    script = (
        "import sys\nfrom negpipe import tf as n\n"
        "d, _ = n.instantiate_pipeline(sys.argv[1], sys.argv[2], 512, 210, eval_negatives=20)\n"
        "n.make_input_fn(d, True)\nprint(d.producer.process.pid)\nraise SystemExit(sys.argv[3])\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script, dataset, tmp_path, "an error"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 1 and outcome.stderr.rstrip().endswith("an error")
    assert not os.path.exists(f"/proc/{int(outcome.stdout)}")
    assert list(tmp_path.glob("*_cache")) == []


def test_ctrl_c_reaches_only_the_trainer(dataset, tmp_path):
    script = (
        "import sys, time\nfrom negpipe import tf as n\n"
        "d, _ = n.instantiate_pipeline(sys.argv[1], sys.argv[2], 512, 210, eval_negatives=20)\n"
        "try:\n  print(d.producer.process.pid, flush=True)\n  time.sleep(60)\nexcept KeyboardInterrupt:\n"
        "  print(d.producer.process.poll(), flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(dataset), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as trainer:
        trainer.stdout.readline()
        os.killpg(trainer.pid, signal.SIGINT)
        assert trainer.stdout.readline().strip() == "None"  # the producer did not get the signal
        assert trainer.wait(60) == 0
    assert list(tmp_path.glob("*_cache")) == []

"""Whole runs: ratings in, verified records out."""

import json
import shutil

import numpy
import pytest
from program import (BACKEND, BAD_DATA, FOUND_FAILURES, INFEASIBLE, SMALL, USAGE, digests, leftovers, negpipe,
                     refuses, small, write_ratings)


def ready(folder):
    return json.loads((folder / "ready.json").read_text())


def test_layout(run):
    files = set(digests(run))
    expected = {f"training_epochs/cycle_{cycle:05}/{name}" for cycle in range(3)
                for name in ["ready.json"] + [f"train_{f}.tfrecords{idx}" for f in range(3) for idx in ("", ".idx")]}
    expected |= {"eval_data/ready.json"} | {f"eval_data/eval_{f}.tfrecords" for f in range(3)}
    assert expected <= files
    assert files - expected <= {f"eval_data/eval_{f}.tfrecords.idx" for f in range(3)}
    assert leftovers(run) == []


def test_ready_json_records_the_options(run):
    for cycle in range(3):
        made = ready(run / f"training_epochs/cycle_{cycle:05}")
        assert (made["batch_size"], int(made["seed"]), made["cycle"], made["stream_version"]) == (512, 42, cycle, 1)
    assert ready(run / "eval_data")["batch_size"] == 210


def test_shards_of_another_program_become_the_dataset(ratings, dataset, tmp_path):
    negpipe("prepare", ratings, "--out", tmp_path / "shards", "--shards", 3)
    written = tmp_path / "shards/dataset.json"
    description = json.loads(written.read_text())
    (tmp_path / "shards/shards.json").write_text(
        json.dumps({key: value for key, value in description.items() if key not in ("digest", "checksum")}))
    written.unlink()
    negpipe("join", tmp_path / "shards", "--out", tmp_path / "data")
    assert not (tmp_path / "shards").exists()
    one_piece = json.loads((dataset / "dataset.json").read_text())
    assert json.loads((tmp_path / "data/dataset.json").read_text())["digest"] == one_piece["digest"]
    negpipe("generate", tmp_path / "data", "--out", tmp_path / "run", *SMALL)
    negpipe("verify", dataset, tmp_path / "run")


def test_a_run_verifies(dataset, run):
    report = json.loads(negpipe("verify", dataset, run, "--json").stdout)
    assert report["failure_count"] == 0
    assert report["cycle_count"] == 3


@pytest.mark.parametrize("prepare, generate", [
    ((), ()),
    (("--mlperf", "--seed", 7), ("--mlperf",)),
    ((), ("--padding", "mask")),
    ((), ("--padding", "drop")),
    ((), ("--compression", "gzip")),
    ((), ("--epochs-per-cycle", 3)),
    ((), ("--num-neg", 0)),
    ((), ("--layout", "pairwise")),
    ((), ("--layout", "pairwise", "--num-neg", 0, "--padding", "mask")),
    ((), ("--layout", "pairwise", "--num-neg", 64, "--padding", "drop", "--batch-size", 100)),
    ((), ("--no-eval",)),
    ((), ("--bitset-budget", 0)),
    (("--min-ratings", 40), ("--readers", 1)),
    (("--ties", "shuffled", "--seed", 3), ("--device", "cpu")),
], ids=lambda options: " ".join(map(str, options)) or "plain")
def test_options_verify(prepare, generate, ratings, tmp_path):
    negpipe("prepare", ratings, "--out", tmp_path / "data", *prepare)
    negpipe("generate", tmp_path / "data", "--out", tmp_path / "run", "--cycles", 2, "--seed", 5, *small(*generate))
    negpipe("verify", tmp_path / "data", tmp_path / "run")
    assert (tmp_path / "run/eval_data").exists() == ("--no-eval" not in generate)


@pytest.mark.parametrize("mlperf", [(), ("--mlperf",)], ids=["plain", "mlperf"])
def test_real_ratings_verify(mlperf, movielens, tmp_path):
    seed = ("--seed", 42) if mlperf else ()
    negpipe("prepare", movielens, "--out", tmp_path / "data", *mlperf, *seed)
    negpipe("generate", tmp_path / "data", "--out", tmp_path / "run", "--cycles", 2, "--seed", 42, *mlperf)
    report = json.loads(negpipe("verify", tmp_path / "data", tmp_path / "run", "--json").stdout)
    assert (report["failure_count"], report["cycle_count"]) == (0, 2)


def test_continuing_gives_the_bytes_of_one_run(dataset, run, tmp_path):
    options = ("--seed", 42, *SMALL)
    negpipe("generate", dataset, "--out", tmp_path / "run", "--cycles", 1, *options)
    negpipe("generate", dataset, "--out", tmp_path / "run", "--first-cycle", 1, "--cycles", 2, "--no-eval", *options)
    assert digests(tmp_path / "run", "**/*.tfrecords*") == digests(run, "**/*.tfrecords*")


def test_any_cycle_alone_gives_the_same_bytes(dataset, run, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path / "run", "--first-cycle", 2, "--seed", 42, "--no-eval", *SMALL)
    cycle = "training_epochs/cycle_00002"
    assert digests(tmp_path / "run" / cycle, "*.tfrecords") == digests(run / cycle, "*.tfrecords")


def test_the_last_cycle_of_the_counter(dataset, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path / "run", "--first-cycle", 2**32 - 1, *SMALL)
    assert (tmp_path / f"run/training_epochs/cycle_{2**32 - 1}/ready.json").exists()
    negpipe("verify", dataset, tmp_path / "run")


def test_existing_output_is_refused_without_force(dataset, run, tmp_path):
    out = tmp_path / "run"
    options = ("generate", dataset, "--out", out, *SMALL)
    negpipe(*options, "--seed", 1)
    before = digests(out)
    refuses(USAGE, *options, "--seed", 42, naming=["cycle_00000", "--force"])
    refuses(USAGE, *options, "--seed", 42, "--first-cycle", 1, naming=["eval_data", "--force"])
    assert digests(out) == before
    negpipe(*options, "--seed", 42, "--force")
    cycle = "training_epochs/cycle_00000"
    assert digests(out / cycle, "*.tfrecords") == digests(run / cycle, "*.tfrecords")
    assert leftovers(out) == []


def test_only_cycles_that_would_be_written_conflict(dataset, tmp_path):
    out = tmp_path / "run"
    options = ("generate", dataset, "--out", out, "--seed", 1, "--no-eval", *SMALL)
    negpipe(*options, "--first-cycle", 5, "--cycles", 2)
    (out / "training_epochs/cycle_3").mkdir()  # not the name of a cycle
    (out / "training_epochs/cycle_00009").symlink_to("nowhere")
    refuses(USAGE, *options, "--first-cycle", 2, "--cycles", 6, naming=["cycle_00005", "--force"])
    refuses(USAGE, *options, "--first-cycle", 6, "--cycles", 1, naming=["cycle_00006"])
    refuses(USAGE, *options, "--first-cycle", 7, "--cycles", 2**32 - 7, naming=["cycle_00009"])
    negpipe(*options, "--first-cycle", 0, "--cycles", 5)
    negpipe(*options, "--first-cycle", 7, "--cycles", 2)


@pytest.mark.parametrize("subcommand", ["prepare", "synth"])
def test_a_dataset_that_exists_is_not_overwritten(subcommand, ratings, dataset):
    before = digests(dataset)
    made_by = {"prepare": (ratings,), "synth": ("--users", 50, "--items", 100, "--positives", 1500)}[subcommand]
    refuses(USAGE, subcommand, *made_by, "--out", dataset, naming=["exists"])
    assert digests(dataset) == before


def test_a_seed_not_given_is_shown_and_recorded(dataset, tmp_path):
    result = negpipe("generate", dataset, "--out", tmp_path / "a", *SMALL)
    seed = ready(tmp_path / "a/training_epochs/cycle_00000")["seed"]
    assert seed in result.stderr
    negpipe("generate", dataset, "--out", tmp_path / "b", "--seed", seed, *SMALL)
    assert digests(tmp_path / "a", "**/*.tfrecords") == digests(tmp_path / "b", "**/*.tfrecords")
    negpipe("generate", dataset, "--out", tmp_path / "c", *SMALL)
    assert ready(tmp_path / "c/training_epochs/cycle_00000")["seed"] != seed


def test_mlperf_says_when_ties_were_not_shuffled(ratings, dataset, tmp_path):
    def told(data, *options):
        out = tmp_path / f"{data.name}{len(options)}"
        return "--ties file" in negpipe("generate", data, "--out", out, *SMALL, *options).stderr

    negpipe("prepare", ratings, "--out", tmp_path / "shuffled", "--mlperf", "--seed", 1)
    negpipe("synth", "--users", 50, "--items", 100, "--positives", 1500, "--out", tmp_path / "synthetic")
    (tmp_path / "synth").symlink_to(ratings)  # a file of ratings with the name that synth records as its source
    negpipe("prepare", tmp_path / "synth", "--out", tmp_path / "named")
    assert told(dataset, "--mlperf") and told(tmp_path / "named", "--mlperf")
    assert not told(dataset)
    assert not told(tmp_path / "shuffled", "--mlperf")
    assert not told(tmp_path / "synthetic", "--mlperf"), "synthetic data has no ties"


def test_auto_prints_its_choice(dataset, tmp_path):
    assert "backend: c" in negpipe("generate", dataset, "--out", tmp_path / "run", *SMALL).stderr


def test_missing_cuda_is_refused_with_a_reason(dataset, tmp_path):
    if "backend: cuda" in negpipe("generate", dataset, "--out", tmp_path / "probe", *SMALL).stderr:
        pytest.skip("this machine has CUDA")
    refuses(BACKEND, "generate", dataset, "--out", tmp_path / "run", "--device", "cuda", *SMALL,
            naming=["cuda", "cpu"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("layout", ["pointwise", "pairwise"])
def test_popularity_is_recorded_and_verified(layout, dataset, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path / "run", "--seed", 1, *SMALL, "--layout", layout,
            "--distribution", "popularity", "--alpha", 0.6)
    made = ready(tmp_path / "run/training_epochs/cycle_00000")
    assert (made["distribution"], made["alpha"], len(made["weights_digest"])) == ("popularity", 0.6, 32)
    assert "distribution" not in ready(tmp_path / "run/eval_data")
    assert json.loads(negpipe("verify", dataset, tmp_path / "run", "--json").stdout)["failure_count"] == 0


def test_weights_are_recorded_and_verified_with_the_same_file(dataset, tmp_path):
    items = json.loads((dataset / "dataset.json").read_text())["items"]
    numpy.save(tmp_path / "weights.npy", numpy.arange(1, items + 1))
    numpy.save(tmp_path / "other.npy", numpy.ones(items, numpy.uint32))
    run = tmp_path / "run"
    negpipe("generate", dataset, "--out", run, "--seed", 1, *SMALL, "--weights", tmp_path / "weights.npy")
    assert ready(run / "training_epochs/cycle_00000")["distribution"] == "weights"
    report = json.loads(negpipe("verify", dataset, run, "--weights", tmp_path / "weights.npy", "--json").stdout)
    assert report["failure_count"] == 0
    refuses(USAGE, "verify", dataset, run, naming=["--weights", "give these weights"])
    refuses(USAGE, "verify", dataset, run, "--weights", tmp_path / "other.npy", naming=["the given ones have"])


@pytest.mark.parametrize("options", [(), ("--mlperf",), ("--eval-infeasible", "fewer")])
def test_popularity_of_evaluation_negatives_is_recorded_and_verified(options, dataset, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path / "run", "--seed", 1, *SMALL, *options,
            "--eval-distribution", "popularity")
    made = ready(tmp_path / "run/eval_data")
    assert (made["distribution"], made["alpha"], len(made["weights_digest"])) == ("popularity", 1, 32)
    assert "distribution" not in ready(tmp_path / "run/training_epochs/cycle_00000")
    assert json.loads(negpipe("verify", dataset, tmp_path / "run", "--json").stdout)["failure_count"] == 0
    changed = made | {"seed": "2"}
    (tmp_path / "run/eval_data/ready.json").write_text(json.dumps(changed))
    found = negpipe("verify", dataset, tmp_path / "run", expect=FOUND_FAILURES).stdout
    assert "wanted by the recorded seed" in found and "eval_0.tfrecords" in found


def test_weights_of_evaluation_negatives_are_verified_with_the_same_file(dataset, tmp_path):
    items = json.loads((dataset / "dataset.json").read_text())["items"]
    numpy.save(tmp_path / "weights.npy", numpy.arange(1, items + 1))
    run = tmp_path / "run"
    negpipe("generate", dataset, "--out", run, "--seed", 1, *SMALL, "--eval-weights", tmp_path / "weights.npy")
    negpipe("verify", dataset, run, "--eval-weights", tmp_path / "weights.npy")
    refuses(USAGE, "verify", dataset, run, naming=["--eval-weights", "give these weights"])
    refuses(USAGE, "verify", dataset, run, "--weights", tmp_path / "weights.npy",
            naming=["--weights", "drawn uniformly", "leave the weights out"])
    numpy.save(tmp_path / "zeros.npy", numpy.zeros(items, int))
    refuses(USAGE, "verify", dataset, run, "--eval-weights", tmp_path / "zeros.npy", naming=["--eval-weights", "0"])
    shutil.rmtree(run / "eval_data")
    refuses(USAGE, "verify", dataset, run, "--eval-weights", tmp_path / "weights.npy",
            naming=["--eval-weights", "holds no evaluation data"])
    popular = tmp_path / "popular"
    negpipe("generate", dataset, "--out", popular, *SMALL, "--eval-distribution", "popularity")
    refuses(USAGE, "verify", dataset, popular, "--eval-weights", tmp_path / "weights.npy",
            naming=["--eval-weights", "the given ones"])


def test_the_default_evaluation_batch_has_whole_rows(dataset, tmp_path):
    command = ("generate", dataset, "--batch-size", 512, "--seed", 1, "--out", tmp_path / "run", "--eval-negatives", 5)
    negpipe(*command)
    assert ready(tmp_path / "run/eval_data")["batch_size"] == 159_996
    refuses(USAGE, *command, "--force", "--eval-batch-size", 160_000, naming=["--eval-batch-size", 160_002])


@pytest.mark.parametrize("option", [("--eval-distribution", "popularity"), ("--eval-alpha", 1),
                                    ("--eval-weights", "weights.npy")])
def test_distributions_of_evaluation_are_refused_without_evaluation(option, dataset, tmp_path):
    command = ("generate", dataset, "--out", tmp_path / "run", "--no-eval", *option)
    refuses(USAGE, *command, naming=[option[0], "--no-eval"])
    assert list(tmp_path.iterdir()) == []


def test_an_infeasible_evaluation_can_be_left_out(dataset, tmp_path):
    many = small("--eval-negatives", 999, "--eval-batch-size", 1000)
    command = ("generate", dataset, "--out", tmp_path / "run", *many)
    refuses(INFEASIBLE, *command, naming=["--eval-negatives", "--mlperf", "--no-eval"])
    negpipe(*command, "--no-eval")


def test_wrong_evaluation_weights_are_refused_before_anything_is_written(dataset, tmp_path):
    items = json.loads((dataset / "dataset.json").read_text())["items"]
    numpy.save(tmp_path / "few.npy", numpy.ones(items - 1, int))
    numpy.save(tmp_path / "one.npy", numpy.eye(1, items, dtype=int)[0])
    command = ("generate", dataset, "--out", tmp_path / "run", *SMALL)
    refuses(USAGE, *command, "--eval-weights", tmp_path / "few.npy", naming=["--eval-weights", items - 1, items])
    refuses(USAGE, *command, "--eval-alpha", 1, naming=["--eval-alpha"])
    refuses(USAGE, *command, "--eval-distribution", "popularity", "--eval-alpha", 17, naming=["--eval-alpha", 17])
    refuses(USAGE, *command, "--eval-weights", tmp_path / "one.npy", "--eval-distribution", "popularity",
            naming=["--eval-weights", "popularity"])
    refuses(INFEASIBLE, *command, "--eval-weights", tmp_path / "one.npy",
            naming=["items of positive weight left", "--eval-weights"])
    assert not (tmp_path / "run").exists()


def test_wrong_weights_are_refused_before_anything_is_written(dataset, tmp_path):
    items = json.loads((dataset / "dataset.json").read_text())["items"]
    numpy.save(tmp_path / "floats.npy", numpy.ones(items))
    numpy.save(tmp_path / "few.npy", numpy.ones(items - 1, int))
    numpy.save(tmp_path / "negative.npy", -numpy.ones(items, int))
    numpy.save(tmp_path / "table.npy", numpy.ones((items, 1), int))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "few.npy").read_bytes()[:-1])
    (tmp_path / "text.npy").write_text("1 2 3")
    command = ("generate", dataset, "--out", tmp_path / "run", *SMALL)
    for name, found in {"floats": "is an array of float64; expected a one-dimensional array of int32, int64",
                        "negative": "value 0 is -1", "cut": "it was truncated or extended",
                        "table": f"is an array of the shape ({items}, 1)", "text": "is not a .npy file"}.items():
        refuses(BAD_DATA, *command, "--weights", tmp_path / f"{name}.npy", naming=[f"{name}.npy", found])
    refuses(USAGE, *command, "--weights", tmp_path / "few.npy", naming=["--weights", items - 1, items])
    refuses(USAGE, *command, "--alpha", 1, naming=["--alpha"])
    refuses(USAGE, *command, "--distribution", "popularity", "--alpha", 17, naming=["--alpha", 17])
    assert not (tmp_path / "run").exists()


def test_hash_names_the_bytes(dataset, run, tmp_path):
    hashes = json.loads(negpipe("hash", run, "--json").stdout)
    negpipe("generate", dataset, "--out", tmp_path / "gz", "--cycles", 3, "--seed", 42,
            *small("--compression", "gzip", "--readers", 5))
    assert json.loads(negpipe("hash", tmp_path / "gz", "--json").stdout) == hashes
    negpipe("generate", dataset, "--out", tmp_path / "other", "--cycles", 3, "--seed", 43, *SMALL)
    assert json.loads(negpipe("hash", tmp_path / "other", "--json").stdout) != hashes


def test_info_counts(dataset, ratings):
    rows = len(ratings.read_text().splitlines()) - 1
    facts = json.loads(negpipe("info", dataset, "--json").stdout)
    assert (facts["users"], facts["positives"]) == (60, rows - 60)


def test_synth_is_reproducible_and_its_csv_prepares_to_the_same_arrays(tmp_path):
    shape = ("--users", 80, "--items", 200, "--positives", 4000, "--seed", 9)
    negpipe("synth", *shape, "--out", tmp_path / "a", "--csv", tmp_path / "a.csv")
    negpipe("synth", *shape, "--out", tmp_path / "b")
    negpipe("prepare", tmp_path / "a.csv", "--out", tmp_path / "c")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a", "*.npy") == digests(tmp_path / "c", "*.npy")


def test_verify_detects_a_flipped_byte(dataset, run, tmp_path):
    negpipe("generate", dataset, "--out", tmp_path / "run", "--cycles", 3, "--seed", 42, *SMALL)
    broken = tmp_path / "run/training_epochs/cycle_00001/train_1.tfrecords"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 1
    broken.write_bytes(content)
    result = negpipe("verify", dataset, tmp_path / "run", expect=FOUND_FAILURES)
    assert "cycle_00001/train_1.tfrecords" in result.stdout
    quiet = negpipe("verify", dataset, tmp_path / "run", "--quiet", expect=FOUND_FAILURES)
    assert quiet.stdout == ""
    assert quiet.stderr.startswith("negpipe: ") and "cycle_00001/train_1.tfrecords: " in quiet.stderr
    assert quiet.stderr.count("\n") == 1


def test_progress_has_one_line_for_each_finished_stage(ratings, dataset, run, tmp_path):
    verified = negpipe("verify", dataset, run).stderr.splitlines()
    stages = [line.partition(":")[0] for line in verified]
    assert "eval_data" in stages and len(stages) == len(set(stages)), verified
    prepared = negpipe("prepare", ratings, "--out", tmp_path / "data").stderr
    assert "building the dataset: 3 steps 100 %, " in prepared and "steps/s" not in prepared


def test_verify_against_another_dataset_is_refused(run, tmp_path):
    write_ratings(tmp_path / "other.csv", seed=2)
    negpipe("prepare", tmp_path / "other.csv", "--out", tmp_path / "other")
    refuses(BAD_DATA, "verify", tmp_path / "other", run, naming=["dataset"])

#!/usr/bin/env python3
"""Trains the same NeuMF on two feeds: negpipe, and the 2018 pipeline in NumPy (bench/peers/numpy_2018.py).

    compare_feeds.py --dataset DATASET --out FOLDER [--first-seed 1] [--seeds 5] [--train_epochs 8]

Both run as a process beside the trainer, with the same batch size, initial weights and evaluation data; only the random
draws differ. The criterion was fixed before the runs:

- The figure of a run is HR@10, averaged over its last three cycles. (Between two cycles of one run it varies by 0.01.)
- The feeds are compared by the mean of that figure over all seeds for which both were trained.
- The two means must differ by at most 0.005. The standard error of the difference is reported.

NDCG@10 is reported too, without a criterion. Writes to FOLDER: runs.json (all runs, with machine, commit, load and
options; a further call adds missing runs, also of other seeds), table.md with the result, and hit_rate.png.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import types

import numpy as np
import train_neumf  # first, because it adds the package to the path
import tensorflow as tf
from negpipe import program, records
from negpipe import tf as negpipe_tf

sys.path.insert(0, str(train_neumf.ROOT / "bench/support"))
import results  # noqa: E402

CYCLES_THAT_COUNT = 3
GREATEST_DIFFERENCE = 0.005
# Options that determine a run besides dataset, feed and seed; other options of train_neumf.py are not used.
OPTIONS = ("train_epochs", "batch_size", "eval_batch_size", "num_factors", "layers", "learning_rate")
PEER = train_neumf.ROOT / "bench/peers/numpy_2018.py"
EVALUATION_SEED = 2018
# The peer seeds cycle c of seed s with s + c: seeds are spaced so that no two runs share a generator.
PEER_SEED_STRIDE = 1000


def negpipe_cycles(arguments, seed, folder):
    ncf_dataset, cleanup_fn = negpipe_tf.instantiate_pipeline(
        arguments.dataset, folder, arguments.batch_size, arguments.eval_batch_size, deterministic=True, seed=seed
    )
    try:
        for cycle in ncf_dataset.cycles(arguments.train_epochs):
            yield cycle.dataset
    finally:
        cleanup_fn()


def peer_cycles(arguments, seed, folder):
    command = [sys.executable, PEER, arguments.dataset, "--out", folder, "--cycles", arguments.train_epochs]
    command += ["--batch-size", arguments.batch_size, "--seed", PEER_SEED_STRIDE * seed]
    dtypes = {"user_id": "<i4", "item_id": "<u2", "labels": "i1"}
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL) as process:
        for cycle in range(arguments.train_epochs):
            path = folder / f"cycle_{cycle:05d}"
            while not (path / records.READY_FILE).exists():
                assert process.poll() in (None, 0), "the peer has failed"
                time.sleep(0.05)
            ready = json.loads((path / records.READY_FILE).read_text())
            # The interface of records.RecordFolder; the peer's ready.json has only the content of 2018.
            described = types.SimpleNamespace(
                **ready,
                files=sorted(path.glob("*.tfrecords"), key=lambda file: int(file.stem.split("_")[1])),
                dtypes={name: np.dtype(dtype) for name, dtype in dtypes.items()},
                shapes=dict.fromkeys(dtypes, (ready["batch_size"],)),
                compressed=False,
                check_files=lambda: None,  # the peer lists no sizes
            )
            yield negpipe_tf.read_dataset(described)
            shutil.rmtree(path)


FEEDS = {"negpipe": negpipe_cycles, "numpy_2018": peer_cycles}


def train(feed, seed, arguments, counts, evaluation):
    circumstances = results.circumstances()
    tf.keras.utils.set_random_seed(seed)
    layers = [int(size) for size in arguments.layers.split(",")]
    model = train_neumf.NeuMF(*counts, arguments.num_factors, layers, 0.0, 0.0)
    trainer = train_neumf.Trainer(model, arguments.learning_rate, 0.9, 0.999, 1e-8)
    folder = arguments.out / f"{feed}_{seed}"
    shutil.rmtree(folder, ignore_errors=True)  # of an interrupted run
    folder.mkdir()
    outcome = {"feed": feed, "seed": seed, "hr": [], "ndcg": []}
    cycles = FEEDS[feed](arguments, seed, folder)
    while trainer.train(cycles) is not None:
        found = trainer.evaluate(evaluation, False)
        outcome["hr"].append(found.hit_rate)
        outcome["ndcg"].append(found.ndcg)
        print(f"{feed}, seed {seed}, cycle {len(outcome['hr'])}: HR = {found.hit_rate:.4f}", flush=True)
    shutil.rmtree(folder)
    outcome |= {"training_seconds": trainer.training_seconds, "waiting_seconds": trainer.waiting_seconds}
    return outcome | {name: circumstances[name] for name in ("date", "commit", "load_before")}


# ---- runs.json


def read_runs(file, options):
    """Returns the runs of earlier calls, which must have the same options."""
    if not file.exists():
        return []
    content = json.loads(file.read_text())
    if content["options"] != options:
        raise SystemExit(
            f"{file} has runs with other options, {content['options']}; now {options}: give these or another --out"
        )
    return content["runs"]


def write_runs(file, runs, circumstances, options):
    staging = file.with_suffix(".temp")
    staging.write_text(json.dumps({**circumstances, "options": options, "runs": runs}, indent=2) + "\n")
    os.replace(staging, file)


# ---- outcome


def paired(runs):
    """Returns {feed: runs by seed} of the seeds for which all feeds were trained."""
    by_feed = {feed: {run["seed"]: run for run in runs if run["feed"] == feed} for feed in FEEDS}
    seeds = sorted(set.intersection(*(set(of_feed) for of_feed in by_feed.values())))
    return {feed: [of_feed[seed] for seed in seeds] for feed, of_feed in by_feed.items()}


def spread(values):
    """Returns the standard deviation; NaN for a single value."""
    return values.std(ddof=1) if len(values) > 1 else float("nan")


def compare(first, second):
    """Returns the difference of two means, and its standard error."""
    error = np.sqrt(sum(spread(values) ** 2 / len(values) for values in (first, second)))
    return float(first.mean() - second.mean()), float(error)


def cells(of_feeds):
    """Returns the table cells of one figure: per feed, and the difference."""
    difference, error = compare(*of_feeds)
    return [f"{values.mean():.4f} ({spread(values):.4f})" for values in of_feeds] + [f"{difference:+.4f} ({error:.4f})"]


def make_table(runs, arguments):
    """Returns HR@10 and NDCG@10 by cycle, the compared figures, the waiting times, and the result."""
    by_feed = paired(runs)
    curves = {key: [np.array([run[key] for run in of_feed]) for of_feed in by_feed.values()] for key in ("hr", "ndcg")}
    rows = {str(cycle + 1): (cycle, cycle + 1) for cycle in range(arguments.train_epochs)}
    last = min(CYCLES_THAT_COUNT, arguments.train_epochs)
    rows[f"last {last}"] = (arguments.train_epochs - last, arguments.train_epochs)
    heads = [f"{key}, {column}" for key in ("HR@10", "NDCG@10") for column in (*FEEDS, "difference")]
    lines = [
        f"NeuMF on {pathlib.Path(arguments.dataset).name}: batch {arguments.batch_size}, learning rate "
        f"{arguments.learning_rate}, layers {arguments.layers}, {arguments.num_factors} factors, 4 negatives; HR@10 "
        "and NDCG@10 among 999 negatives: mean (standard deviation) over seeds, difference (standard error). The last "
        "row is of each run's average over so many cycles.",
        "",
        "| cycle | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(heads),
    ]
    for name, (begin, end) in rows.items():
        row = [cell for key in curves for cell in cells([curve[:, begin:end].mean(axis=1) for curve in curves[key]])]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    lines += ["", f"Seeds: {len(curves['hr'][0])} for each feed. Share of training time spent waiting for data:"]
    for feed, of_feed in by_feed.items():
        shares = [run["waiting_seconds"] / run["training_seconds"] for run in of_feed]
        lines.append(f"{feed} {np.mean(shares):.1%} (of {min(shares):.1%} to {max(shares):.1%}).")
    difference, error = compare(*(curve[:, -last:].mean(axis=1) for curve in curves["hr"]))
    verdict = "holds" if abs(difference) <= GREATEST_DIFFERENCE else "does not hold"
    lines += [
        "",
        f"Wanted: HR@10, averaged over each run's last {last} cycles, differs by at most {GREATEST_DIFFERENCE} in the "
        f"mean over the seeds. Found: {difference:+.4f}, standard error {error:.4f}. It {verdict}.",
    ]
    return "\n".join(lines) + "\n"


def draw(runs, file):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for (feed, of_feed), colour in zip(paired(runs).items(), ("tab:blue", "tab:orange"), strict=True):
        rates = np.array([run["hr"] for run in of_feed])
        cycles = np.arange(1, rates.shape[1] + 1)
        axes.plot(cycles, rates.T, color=colour, alpha=0.25, linewidth=1)
        axes.plot(cycles, rates.mean(axis=0), "o-", color=colour, label=f"{feed} (mean of {len(rates)})")
    axes.set(xlabel="cycle", ylabel="HR@10", title="The same NeuMF on two feeds")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120, bbox_inches="tight")


def main():
    parser = train_neumf.make_parser()
    parser.description = __doc__
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--first_seed", type=int, default=1, help="the first seed; the others follow")
    parser.set_defaults(train_epochs=8)
    arguments = train_neumf.parse_arguments(parser, sys.argv[1:])
    arguments.dataset = str(pathlib.Path(arguments.dataset).resolve())
    circumstances = results.circumstances()
    described = json.loads((pathlib.Path(arguments.dataset) / "dataset.json").read_text())
    counts = described["users"], described["items"]
    options = {"dataset": pathlib.Path(arguments.dataset).name, "dataset_digest": described["digest"]}
    options |= {name: getattr(arguments, name) for name in OPTIONS}
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    runs_file = out / "runs.json"
    runs = read_runs(runs_file, options)

    if not (out / "common").exists():
        program.run("generate", arguments.dataset, "--out", out / "common", "--seed", EVALUATION_SEED, "--quiet")
    evaluation = negpipe_tf.read_dataset(records.RecordFolder(out / "common/eval_data")).cache()
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for feed in FEEDS:
            if not any(run["feed"] == feed and run["seed"] == seed for run in runs):
                runs.append(train(feed, seed, arguments, counts, evaluation))
                write_runs(runs_file, runs, circumstances, options)
    table = make_table(runs, arguments)
    (out / "table.md").write_text(table)
    print(table)
    draw(runs, out / "hit_rate.png")


if __name__ == "__main__":
    main()

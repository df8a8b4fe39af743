#!/usr/bin/env python3
"""Trains the same NeuMF on two feeds: negpipe, and the pipeline of 2018 in NumPy (bench/peers/numpy_2018.py).

    compare_feeds.py --dataset DATASET --out FOLDER [--seeds 5] [--train_epochs 8]

Both run as a process beside the trainer, with the same batches, initial weights and evaluation data; only what is drawn
differs. The statement to be checked is that the mean hit rates differ by less than 0.005. Leaves in FOLDER runs.json
(every run; a second call adds what is missing), table.md and hit_rate.png.
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
import train_neumf  # first: it finds the package
import tensorflow as tf
from negpipe import program, records
from negpipe import tf as negpipe_tf

PEER = train_neumf.ROOT / "bench/peers/numpy_2018.py"
EVALUATION_SEED = 2018
# The peer gives cycle c of seed s the generator s + c: seeds stand so far apart that no two runs share one.
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
            # As records.RecordFolder has it; the peer's ready.json holds no more than that of 2018 did.
            described = types.SimpleNamespace(
                **ready,
                files=sorted(path.glob("*.tfrecords"), key=lambda file: int(file.stem.split("_")[1])),
                dtypes={name: np.dtype(dtype) for name, dtype in dtypes.items()},
                compressed=False,
            )
            yield negpipe_tf.read_dataset(described)
            shutil.rmtree(path)


FEEDS = {"negpipe": negpipe_cycles, "numpy_2018": peer_cycles}


def train(feed, seed, arguments, counts, evaluation):
    tf.keras.utils.set_random_seed(seed)
    layers = [int(size) for size in arguments.layers.split(",")]
    model = train_neumf.NeuMF(*counts, arguments.num_factors, layers, 0.0, 0.0)
    trainer = train_neumf.Trainer(model, arguments.learning_rate, 0.9, 0.999, 1e-8)
    folder = arguments.out / f"{feed}_{seed}"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off
    folder.mkdir()
    outcome = {"feed": feed, "seed": seed, "hr": [], "ndcg": []}
    cycles = FEEDS[feed](arguments, seed, folder)
    while trainer.train(cycles) is not None:
        found = trainer.evaluate(evaluation, False)
        outcome["hr"].append(found.hit_rate)
        outcome["ndcg"].append(found.ndcg)
        print(f"{feed}, seed {seed}, cycle {len(outcome['hr'])}: HR = {found.hit_rate:.4f}", flush=True)
    shutil.rmtree(folder)
    return outcome | {"training_seconds": trainer.training_seconds, "waiting_seconds": trainer.waiting_seconds}


def make_table(runs, arguments):
    """Mean and standard deviation over seeds of HR@10 by cycle, and what waiting took."""
    lines = [
        f"NeuMF on {pathlib.Path(arguments.dataset).name}: batch {arguments.batch_size}, learning rate "
        f"{arguments.learning_rate}, layers {arguments.layers}, {arguments.num_factors} factors, 4 negatives; "
        "HR@10 among 999 negatives, mean (standard deviation) over seeds.",
        "",
        "| cycle | " + " | ".join(f"{feed}" for feed in FEEDS) + " | difference (standard error) |",
        "|---|" + "---|" * (len(FEEDS) + 1),
    ]
    rates = {feed: np.array([run["hr"] for run in runs if run["feed"] == feed]) for feed in FEEDS}
    for cycle in range(arguments.train_epochs):
        cells = [f"{rate[:, cycle].mean():.4f} ({rate[:, cycle].std(ddof=1):.4f})" for rate in rates.values()]
        first, second = (rate[:, cycle].mean() for rate in rates.values())
        error = np.sqrt(sum(rate[:, cycle].var(ddof=1) / len(rate) for rate in rates.values()))
        lines.append(f"| {cycle + 1} | " + " | ".join(cells) + f" | {first - second:+.4f} ({error:.4f}) |")
    lines += ["", f"Seeds: {len(rates['negpipe'])} for each feed. Share of training time spent waiting for data:"]
    for feed in FEEDS:
        shares = [run["waiting_seconds"] / run["training_seconds"] for run in runs if run["feed"] == feed]
        lines.append(f"{feed} {np.mean(shares):.1%} (of {min(shares):.1%} to {max(shares):.1%}).")
    return "\n".join(lines) + "\n"


def draw(runs, file):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for feed, colour in zip(FEEDS, ("tab:blue", "tab:orange"), strict=True):
        rates = np.array([run["hr"] for run in runs if run["feed"] == feed])
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
    parser.add_argument("--seeds", type=int, default=5)
    parser.set_defaults(train_epochs=8)
    arguments = train_neumf.parse_arguments(parser, sys.argv[1:])
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    runs_file = out / "runs.json"
    runs = json.loads(runs_file.read_text()) if runs_file.exists() else []

    if not (out / "common").exists():
        program.run("generate", arguments.dataset, "--out", out / "common", "--seed", EVALUATION_SEED, "--quiet")
    evaluation = negpipe_tf.read_dataset(records.RecordFolder(out / "common/eval_data")).cache()
    described = json.loads((pathlib.Path(arguments.dataset) / "dataset.json").read_text())
    counts = described["users"], described["items"]
    for seed in range(1, arguments.seeds + 1):
        for feed in FEEDS:
            if not any(run["feed"] == feed and run["seed"] == seed for run in runs):
                runs.append(train(feed, seed, arguments, counts, evaluation))
                staging = out / "runs.json.temp"
                staging.write_text(json.dumps(runs, indent=2))
                os.replace(staging, runs_file)
    table = make_table(runs, arguments)
    (out / "table.md").write_text(table)
    print(table)
    draw(runs, out / "hit_rate.png")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Trains NeuMF (He et al., "Neural Collaborative Filtering", WWW 2017) on batches of negpipe.

    train_neumf.py --dataset build/demo/dataset --data_dir build/neumf --train_epochs 10

After each cycle it evaluates and prints "Iteration N: HR = 0.####, NDCG = 0.####": hit rate and NDCG at 10 of the
held-out item among 999 others. It ends after --train_epochs, or when the hit rate reaches --hr_threshold. Writes
metrics.json and metrics.png to --model_dir. Options have their names of 2018, with underscores or hyphens. The reported
time of waiting for data starts when the producer is alive, so it includes the making of the first cycle.
"""

import argparse
import contextlib
import json
import logging
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "build/release/python"))  # the package, if it is not installed

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from negpipe import metrics  # noqa: E402
from negpipe import tf as negpipe_tf  # noqa: E402


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--dataset", default=str(ROOT / "build/demo/dataset"), help="ratings, a prepared folder, ml-1m or ml-20m")
    add("--data_dir", default=str(ROOT / "build/neumf"), help="folder for the records, searched for ml-1m")
    add("--model_dir", help="folder for metrics and picture; default: data_dir")
    add("--cache_id", help="name of the folder of the records")
    add("--train_epochs", type=int, default=10)
    add("--epochs_between_evals", type=int, default=1, help="epochs per cycle")
    add("--batch_size", type=int, default=16_384)
    add("--eval_batch_size", type=int, default=160_000)
    add("--num_neg", type=int, default=4, help="negatives per positive")
    add("--num_factors", type=int, default=8, help="factors of the matrix factorization")
    add("--layers", default="64,32,16,8", help="sizes of the perceptron; the first is split between user and item")
    add("--mf_regularization", type=float, default=0.0)
    add("--mlp_regularization", type=float, default=0.0)
    add("--learning_rate", type=float, default=0.002)
    add("--beta1", type=float, default=0.9)
    add("--beta2", type=float, default=0.999)
    add("--epsilon", type=float, default=1e-8)
    add("--hr_threshold", type=float, help="stop when the hit rate reaches this")
    add("--ml_perf", action="store_true", help="evaluate as the MLPerf reference does")
    add("--seed", type=int, help="makes the whole run deterministic")
    add("--hash_pipeline", action="store_true", help="print hashes of all data; implied by --seed")
    add("--use_synthetic_data", action="store_true", help="time only the model, on random points")
    return parser


def parse_arguments(parser, words):
    """Reads hyphens in option names as underscores; does not change values."""
    return parser.parse_args([_with_underscores(word) for word in words])


def _with_underscores(word):
    name, equals, value = word.partition("=")
    return name.replace("-", "_").replace("__", "--", 1) + equals + value if word.startswith("--") else word


# ---- model


class NeuMF(tf.keras.Model):
    """Matrix factorization and a perceptron in parallel; the output is a logit.

    User and item have one embedding each, whose first num_factors values belong to the factorization.
    """

    def __init__(self, num_users, num_items, num_factors, layers, mf_regularization, mlp_regularization):
        super().__init__()
        self._num_factors = num_factors
        self._mf_regularization = mf_regularization
        width = num_factors + layers[0] // 2
        self._user = tf.keras.layers.Embedding(num_users, width, embeddings_initializer="glorot_uniform")
        self._item = tf.keras.layers.Embedding(num_items, width, embeddings_initializer="glorot_uniform")
        regularizer = tf.keras.regularizers.L2(mlp_regularization) if mlp_regularization else None
        self._dense = [
            tf.keras.layers.Dense(size, activation="relu", kernel_regularizer=regularizer) for size in layers[1:]
        ]
        self._logit = tf.keras.layers.Dense(1, kernel_initializer="lecun_uniform")

    def call(self, features):
        user = self._user(tf.cast(features[negpipe_tf.USER_COLUMN], tf.int32))
        item = self._item(tf.cast(features[negpipe_tf.ITEM_COLUMN], tf.int32))
        user_factors, item_factors = user[:, : self._num_factors], item[:, : self._num_factors]
        if self._mf_regularization:
            squares = tf.square(user_factors) + tf.square(item_factors)
            self.add_loss(self._mf_regularization * tf.reduce_mean(tf.reduce_sum(squares, axis=1)))
        hidden = tf.concat([user[:, self._num_factors :], item[:, self._num_factors :]], axis=1)
        for layer in self._dense:
            hidden = layer(hidden)
        return self._logit(tf.concat([user_factors * item_factors, hidden], axis=1))[:, 0]


class Trainer:
    """A model, its optimizer, and the time spent waiting for data."""

    def __init__(self, model, learning_rate, beta1, beta2, epsilon):
        self.model = model
        # Total waiting time: for cycles, their batches, and the evaluation data. Includes the hashing of data.
        self.waiting_seconds = 0.0
        self.training_seconds = 0.0  # that included
        self._optimizer = tf.keras.optimizers.Adam(learning_rate, beta1, beta2, epsilon)
        self._step = tf.function(self._take_step, reduce_retracing=True)
        self._score = tf.function(lambda features: self.model(features), reduce_retracing=True)

    def _take_step(self, features, labels):
        with tf.GradientTape() as tape:
            logits = self.model(features, training=True)
            loss = tf.reduce_mean(
                tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(labels, tf.float32), logits=logits)
            )
            loss += sum(self.model.losses)
        weights = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def train(self, cycles):
        """Trains on the next cycle of an iterator of datasets. Returns the mean loss, or None at the end."""
        begin = time.perf_counter()
        dataset = next(cycles, None)
        if dataset is None:
            return None
        losses = []
        batches = iter(dataset)
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waiting_seconds += time.perf_counter() - asked
            if batch is None:
                break
            if not losses:
                self.waiting_seconds += asked - begin  # for the cycle itself
            losses.append(float(self._step(*batch)))
        self.training_seconds += time.perf_counter() - begin
        return float(np.mean(losses))

    def wait_for(self, get):
        """Returns get(), and counts its time as waiting."""
        begin = time.perf_counter()
        answer = get()
        self.waiting_seconds += time.perf_counter() - begin
        self.training_seconds += time.perf_counter() - begin
        return answer

    def evaluate(self, dataset, match_mlperf):
        collected = metrics.RankingMetrics(match_mlperf=match_mlperf)
        for features in dataset:
            mask = features.pop(negpipe_tf.DUPLICATE_MASK)
            collected.update(self._score(features).numpy(), mask.numpy())
        return collected.result()


# ---- a run


def synthetic_data(arguments):
    """Returns (counts, iterator of training datasets, function that returns the evaluation dataset): random points."""
    params = {**vars(arguments), "num_users": 6040, "num_items": 3706}
    train, _, _ = negpipe_tf.make_synthetic_input_fn(True)
    evaluation, _, _ = negpipe_tf.make_synthetic_input_fn(False)
    cycles = (train(params) for _ in range(arguments.train_epochs // arguments.epochs_between_evals))
    return (params["num_users"], params["num_items"]), cycles, lambda: evaluation(params)


def real_data(arguments, stack):
    """Like synthetic_data, from a producer that ends with the stack."""
    deterministic = arguments.seed is not None
    ncf_dataset, cleanup_fn = negpipe_tf.instantiate_pipeline(
        arguments.dataset,
        arguments.data_dir,
        arguments.batch_size,
        arguments.eval_batch_size,
        num_neg=arguments.num_neg,
        epochs_per_cycle=arguments.epochs_between_evals,
        match_mlperf=arguments.ml_perf,
        deterministic=deterministic,
        cache_id=arguments.cache_id,
        seed=arguments.seed,
    )
    stack.callback(cleanup_fn)
    params = {"hash_pipeline": arguments.hash_pipeline or deterministic}
    count = arguments.train_epochs // arguments.epochs_between_evals
    cycles = (cycle.dataset for cycle in ncf_dataset.cycles(count, params=params))
    counts = ncf_dataset.num_users, ncf_dataset.num_items
    # The producer makes the evaluation data after the first cycle, so it is requested after training on that.
    return counts, cycles, lambda: ncf_dataset.evaluation_dataset(params=params)


def run(arguments):
    """Trains and evaluates until the end or the threshold. Returns the metrics, one dict per cycle."""
    if arguments.seed is not None:
        tf.keras.utils.set_random_seed(arguments.seed)
        tf.config.experimental.enable_op_determinism()
    history = []
    with contextlib.ExitStack() as stack:
        if arguments.use_synthetic_data:
            counts, cycles, get_evaluation = synthetic_data(arguments)
        else:
            counts, cycles, get_evaluation = real_data(arguments, stack)
        layers = [int(size) for size in arguments.layers.split(",")]
        model = NeuMF(*counts, arguments.num_factors, layers, arguments.mf_regularization, arguments.mlp_regularization)
        trainer = Trainer(model, arguments.learning_rate, arguments.beta1, arguments.beta2, arguments.epsilon)
        evaluation = None
        while (loss := trainer.train(cycles)) is not None:
            if evaluation is None:
                evaluation = trainer.wait_for(get_evaluation)
            found = trainer.evaluate(evaluation, arguments.ml_perf)
            history.append(
                {
                    "iteration": len(history) + 1,
                    "hr": found.hit_rate,
                    "ndcg": found.ndcg,
                    "loss": loss,
                    "training_seconds": trainer.training_seconds,
                    "waiting_seconds": trainer.waiting_seconds,
                }
            )
            print(f"Iteration {len(history)}: HR = {found.hit_rate:.4f}, NDCG = {found.ndcg:.4f}", flush=True)
            if arguments.hr_threshold is not None and found.hit_rate >= arguments.hr_threshold:
                print(f"Reached the hit rate {arguments.hr_threshold} after {len(history)} cycles", flush=True)
                break
    return history


def draw(history, file):
    """Draws hit rate and NDCG by cycle, if matplotlib is installed."""
    try:
        import matplotlib
    except ImportError:
        print("No picture, because matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    iterations = [entry["iteration"] for entry in history]
    axes.plot(iterations, [entry["hr"] for entry in history], "o-", label="HR@10")
    axes.plot(iterations, [entry["ndcg"] for entry in history], "s-", label="NDCG@10")
    axes.set(xlabel="cycle", ylabel="metric among 1,000 items per user", title="NeuMF")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120, bbox_inches="tight")
    pyplot.close(figure)


def main(words):
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("absl").setLevel(logging.WARNING)
    arguments = parse_arguments(make_parser(), words)
    pathlib.Path(arguments.data_dir).mkdir(parents=True, exist_ok=True)
    history = run(arguments)
    folder = pathlib.Path(arguments.model_dir or arguments.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({"arguments": vars(arguments), "history": history}, indent=2))
    draw(history, folder / "metrics.png")
    if history:
        last = history[-1]
        share = last["waiting_seconds"] / last["training_seconds"]
        print(
            f"Trained {last['training_seconds']:.1f} s, of which {last['waiting_seconds']:.2f} s ({share:.1%}) waiting "
            f"for data; {folder}/metrics.json and metrics.png have the rest"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

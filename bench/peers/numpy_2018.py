#!/usr/bin/env python3
"""The pipeline of 2018 in NumPy, with TensorFlow's record writer: the baseline of compare_numpy.

Reimplements the behaviour of TensorFlow's official NCF model after "Reorder NCF data pipeline" (2018):

- worker processes draw the negatives of shards of users: candidates are uniform over all items, and drawn again if they
  are among the user's positives
- the parent scatters the points by one random permutation of the cycle, and pads the last batch with resampled points
- it swaps the first and the last batch, and writes each batch as a tf.train.Example

Faster than the original: positives are looked up in a table of flags, not in a Python set, and the workers start before
the measured time.

    numpy_2018.py DATASET --out DIR [--cycles 1]

DATASET is a folder written by `negpipe prepare` or `negpipe synth`. The last line is JSON: points, seconds, points/s.
"""

import argparse
import json
import multiprocessing
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np

SHARD_POINTS = 1_000_000  # points per message of a worker


class Positives:
    """The training positives of a dataset folder."""

    def __init__(self, folder):
        self.offsets = np.load(os.path.join(folder, "user_offsets.npy"))
        self.items = np.load(os.path.join(folder, "positive_items.npy"))
        with open(os.path.join(folder, "dataset.json")) as f:
            self.item_count = json.load(f)["items"]
        if self.item_count > 65_536:
            raise SystemExit(f"{folder}: {self.item_count} items; the 2018 format allows at most 65536")
        self.user_count = len(self.offsets) - 1


def sample_outside(rng, item_count, taken, count):
    """Returns count items for which taken is False, uniform, with replacement."""
    chosen = rng.integers(0, item_count, count)
    while True:
        refused = np.flatnonzero(taken[chosen])
        if len(refused) == 0:
            return chosen
        chosen[refused] = rng.integers(0, item_count, len(refused))


positives = None  # set before the workers fork, so that they share it


def make_shard(task):
    """Returns the points of users [first, last): users, items, labels."""
    first, last, negatives, seed = task
    rng = np.random.default_rng(seed)
    taken = np.zeros(positives.item_count, dtype=bool)
    users, items, labels = [], [], []
    for user in range(first, last):
        own = positives.items[positives.offsets[user]:positives.offsets[user + 1]]
        taken[own] = True
        drawn = sample_outside(rng, positives.item_count, taken, len(own) * negatives)
        taken[own] = False
        users.append(np.full(len(own) * (1 + negatives), user, dtype=np.int32))
        items.append(np.concatenate([own, drawn]).astype(np.uint16))
        labels.append(np.repeat(np.array([1, 0], dtype=np.int8), [len(own), len(drawn)]))
    return np.concatenate(users), np.concatenate(items), np.concatenate(labels)


def shards(negatives, seed):
    """Returns ranges of users with about SHARD_POINTS points each."""
    wanted = np.arange(0, positives.offsets[-1], max(1, SHARD_POINTS // (1 + negatives)))
    cuts = np.unique(np.append(np.searchsorted(positives.offsets, wanted), positives.user_count))
    seeds = np.random.SeedSequence(seed).spawn(len(cuts) - 1)
    return [(int(a), int(b), negatives, s) for a, b, s in zip(cuts[:-1], cuts[1:], seeds)]


def shuffled_cycle(pool, negatives, batch_size, seed):
    """Returns the columns of a cycle, shuffled and padded."""
    rng = np.random.default_rng(seed)
    point_count = len(positives.items) * (1 + negatives)
    padded = -(-point_count // batch_size) * batch_size
    columns = [np.empty(padded, dtype=t) for t in (np.int32, np.uint16, np.int8)]
    destinations = rng.permutation(point_count)
    begin = 0
    for shard in pool.imap_unordered(make_shard, shards(negatives, seed)):
        places = destinations[begin:begin + len(shard[0])]
        begin += len(places)
        for column, values in zip(columns, shard):
            column[places] = values
    assert begin == point_count
    repeated = rng.integers(0, point_count, padded - point_count)
    for column in columns:
        column[point_count:] = column[repeated]
    return columns


def write_files(columns, folder, batch_size, readers):
    """Writes contiguous runs of batches to files, with the first and the last batch swapped."""
    import tensorflow as tf

    os.makedirs(folder)
    batch_count = len(columns[0]) // batch_size
    order = list(range(batch_count))
    order[0], order[-1] = order[-1], order[0]
    per_file = -(-batch_count // readers)

    def feature(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[values.tobytes()]))

    for reader in range(readers):
        with tf.io.TFRecordWriter(os.path.join(folder, f"train_{reader}.tfrecords")) as writer:
            for batch in order[reader * per_file:(reader + 1) * per_file]:
                part = slice(batch * batch_size, (batch + 1) * batch_size)
                example = tf.train.Example(features=tf.train.Features(feature={
                    "user_id": feature(columns[0][part]),
                    "item_id": feature(columns[1][part]),
                    "labels": feature(columns[2][part]),
                }))
                writer.write(example.SerializeToString())
    temporary = os.path.join(folder, "ready.json.temp")
    with open(temporary, "w") as f:
        json.dump({"batch_size": batch_size, "batch_count": batch_count}, f)
    os.rename(temporary, os.path.join(folder, "ready.json"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--out", required=True)
    parser.add_argument("--cycles", type=int, default=1)
    parser.add_argument("--num-neg", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=65_536)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    arguments = parser.parse_args()

    global positives
    positives = Positives(arguments.dataset)
    with multiprocessing.get_context("fork").Pool(arguments.processes) as pool:
        import tensorflow  # noqa: F401  after the fork, before the clock

        points = 0
        start = time.perf_counter()
        for cycle in range(arguments.cycles):
            columns = shuffled_cycle(pool, arguments.num_neg, arguments.batch_size, arguments.seed + cycle)
            write_files(columns, os.path.join(arguments.out, f"cycle_{cycle:05d}"), arguments.batch_size,
                        arguments.readers)
            points += len(columns[0])
        seconds = time.perf_counter() - start
    print(json.dumps({"points": points, "seconds": seconds, "points_per_second": points / seconds,
                      "processes": arguments.processes}))


if __name__ == "__main__":
    main()

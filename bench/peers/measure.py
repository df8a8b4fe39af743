#!/usr/bin/env python3
"""Measures one negative sampler on one core: rate, false negatives, distribution. Prints one JSON object.

    measure.py PEER DATASET [--seconds 4] [--draws 4000000] [--seed 1] [--digest]

PEER is a name in samplers.PEERS, DATASET a folder written by `negpipe prepare` or `negpipe synth`. --digest prints only
the digest of the first draws: two processes with equal digests made the same negatives.
"""

import argparse
import hashlib
import json
import os
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before any library counts the cores

import numpy as np
from samplers import NEGATIVES, PEERS, Data

DIGEST_DRAWS = 100_000


class Clock:
    """Seconds by the clock and by the processor time of all threads."""

    def __init__(self):
        self.wall = self.processor = 0.0

    def __enter__(self):
        self._start = time.perf_counter(), time.process_time()

    def __exit__(self, *_):
        self.wall += time.perf_counter() - self._start[0]
        self.processor += time.process_time() - self._start[1]


def negatives_of(block):
    """Returns users and items of the negatives, and the number of points that the block counts for."""
    users, items, *labels = block
    if labels:
        chosen = labels[0] == 0
        return users[chosen], items[chosen], len(users)
    count = users if items is None else len(users)
    return users, items, count * (1 + NEGATIVES) / NEGATIVES


def draw(peer, data, seconds, draws, all_draws=False):
    """Returns points/s (by the clock, by processor time) of epochs that are cut off after `seconds`, and up to `draws`
    draws; with all_draws, exactly that many."""
    epoch, block_clock, warm, points, kept, count = Clock(), Clock(), False, 0, [], 0
    with epoch:
        peer.start_epoch()
    blocks = peer.blocks()
    while points == 0 or block_clock.wall < seconds or (all_draws and 0 < count < draws):
        with block_clock:
            block = next(blocks, None)
        if block is None:
            peer.start_epoch()
            blocks = peer.blocks()
            continue
        users, items, block_points = negatives_of(block)
        if not warm and points == 0 and 0 < block_clock.wall < 1:
            block_clock, warm = Clock(), True  # the first call of a library is slow
        else:
            points += block_points
        if items is not None and count < draws:
            kept.append((np.array(users[:draws - count], np.int64), np.array(items[:draws - count], np.int64)))
            count += len(kept[-1][0])
    in_epoch = len(data.items) * (1 + NEGATIVES)
    rates = [1 / (whole / in_epoch + part / points)
             for whole, part in ((epoch.wall, block_clock.wall), (epoch.processor, block_clock.processor))]
    pairs = [np.concatenate(column) for column in zip(*kept)] if kept else peer.observe(data, 1)
    return rates, pairs


def digest_of(users, items):
    """Returns the SHA-256 of the first draws."""
    return hashlib.sha256(users[:DIGEST_DRAWS].tobytes() + items[:DIGEST_DRAWS].tobytes()).hexdigest()


def judge(data, users, items):
    """Returns the share of false negatives, and chi-squared of the items against exact uniform draws."""
    keys = data.users() * data.item_count + data.items  # ascending, as the dataset's rows are
    asked = users * data.item_count + items
    found = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    false_negatives = float(np.mean(keys[found] == asked))
    weights = np.bincount(users, minlength=data.user_count) / (data.item_count - data.degrees)
    expected = weights.sum() - np.bincount(data.items, np.repeat(weights, data.degrees), data.item_count)
    counts = np.bincount(items, minlength=data.item_count)
    chi_squared = float(np.sum((counts - expected)**2 / expected))
    freedom = data.item_count - 1
    return {"judged_negatives": len(items), "false_negatives": false_negatives, "chi_squared": chi_squared,
            "degrees_of_freedom": freedom, "sigmas": (chi_squared - freedom) / (2 * freedom)**0.5,
            "items_never_drawn": int(np.sum(counts == 0))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("dataset")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--draws", type=int, default=4_000_000, help="negatives that are judged")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--digest", action="store_true")
    arguments = parser.parse_args()
    data = Data(arguments.dataset)
    peer = PEERS[arguments.peer](data, arguments.seed)
    if arguments.digest:
        _, pairs = draw(peer, data, 0, DIGEST_DRAWS, all_draws=True)
        print(json.dumps(digest_of(*pairs)))
        return
    rates, (users, items) = draw(peer, data, arguments.seconds, arguments.draws)
    print(json.dumps({"points_per_second": dict(zip(("by_clock", "by_processor_time"), rates)),
                      **judge(data, users, items), "digest": digest_of(users, items), "version": peer.version()}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Training points in PyTorch, in two common ways: the baseline of the CUDA backend.

unchecked  like NVIDIA's NCF loader: draws negatives with random_() without checking the positives, appends them to the
           positives, and gathers all by one randperm
exact      also draws candidates again while they are among the user's positives (searchsorted in sorted user-item keys)

Both make a whole epoch in device memory, as tensors of int64 users and items and float32 labels.

    pytorch_negatives.py DATASET [--device cuda] [--negatives 4] [--runs 10]

DATASET is a folder written by `negpipe prepare` or `negpipe synth`. Prints one JSON object: points, and for both the
median seconds and points/s.
"""

import argparse
import json
import os
import statistics
import time

import numpy as np
import torch


class Positives:
    """Users, items and sorted keys of all positives, on the device."""

    def __init__(self, folder, device):
        offsets = np.load(os.path.join(folder, "user_offsets.npy"))
        items = np.load(os.path.join(folder, "positive_items.npy"))
        with open(os.path.join(folder, "dataset.json")) as f:
            self.item_count = json.load(f)["items"]
        users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        self.users = torch.from_numpy(users.astype(np.int64)).to(device)
        self.items = torch.from_numpy(items.astype(np.int64)).to(device)
        self.keys = self.users * self.item_count + self.items  # ascending, like the rows of the dataset

    def contain(self, users, items):
        keys = users * self.item_count + items
        places = torch.searchsorted(self.keys, keys).clamp_(max=len(self.keys) - 1)
        return self.keys[places] == keys


def draw(positives, users, exact):
    items = torch.empty_like(users).random_(0, positives.item_count)
    if exact:
        again = torch.nonzero(positives.contain(users, items)).squeeze(1)
        while len(again) != 0:
            items[again] = torch.empty_like(again).random_(0, positives.item_count)
            again = again[positives.contain(users[again], items[again])]
    return items


def make_epoch(positives, negatives, exact):
    negative_users = positives.users.repeat(negatives)
    users = torch.cat((positives.users, negative_users))
    items = torch.cat((positives.items, draw(positives, negative_users, exact)))
    labels = torch.zeros(len(users), dtype=torch.float32, device=users.device)
    labels[:len(positives.users)] = 1
    order = torch.randperm(len(users), device=users.device)
    return users[order], items[order], labels[order]


def time_epochs(positives, negatives, exact, runs, device):
    seconds = []
    for run in range(runs + 2):  # two to warm up
        start = time.perf_counter()
        users, items, labels = make_epoch(positives, negatives, exact)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if run >= 2:
            seconds.append(time.perf_counter() - start)
    if exact and positives.contain(users[labels == 0], items[labels == 0]).any():
        raise SystemExit("a negative is a positive; nothing was measured")
    return {"median_seconds": statistics.median(seconds),
            "points_per_second": len(users) / statistics.median(seconds)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--negatives", type=int, default=4)
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    positives = Positives(arguments.dataset, device)
    torch.manual_seed(1)
    print(json.dumps({
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "points": len(positives.users) * (1 + arguments.negatives),
        "unchecked": time_epochs(positives, arguments.negatives, False, arguments.runs, device),
        "exact": time_epochs(positives, arguments.negatives, True, arguments.runs, device)}))


if __name__ == "__main__":
    main()

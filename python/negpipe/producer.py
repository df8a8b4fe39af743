"""The process `negpipe produce` beside a trainer: started, waited for, ended."""

import atexit
import dataclasses
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np

from negpipe import program

ALIVE_FILE = "subproc.alive"
FLAGFILE = "flagfile"

_PAUSE_SECONDS = 0.05
_log = logging.getLogger("negpipe")


class ProducerError(ValueError):
    """The producer did not come to life, or died; the message holds its last words. (In 2018 it was a ValueError.)"""


# ---- the dataset


def make_cache(data_dir, cache_id):
    """Creates the cache folder. Raises ValueError when it exists."""
    cache_root = pathlib.Path(data_dir) / f"{cache_id}_ncf_recommendation_cache"
    try:
        cache_root.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(f"{cache_root} exists already; remove it, or give another cache_id") from None
    return cache_root


def settle_dataset(dataset, data_dir, cache_root, match_mlperf, min_ratings, seed):
    """The folder of a prepared dataset: the one given, or one prepared below the cache folder."""
    source, expected = _find_dataset(dataset, data_dir)
    folder = cache_root / "dataset"
    if (source / "dataset.json").exists():
        folder.symlink_to(source.resolve())  # where a producer looks that is told the cache alone
        return source
    options = ["--min-ratings", min_ratings, "--quiet"]
    if match_mlperf:
        options += ["--mlperf"] + ([] if seed is None else ["--seed", seed])
    if expected:
        options += ["--expect", expected]
    program.run("prepare", source, "--out", folder, *options)
    return folder


def _find_dataset(dataset, data_dir):
    path = pathlib.Path(dataset)
    if path.exists():
        return path, None
    if dataset not in ("ml-1m", "ml-20m"):
        raise ValueError(f"{dataset} is neither a ratings file nor a prepared folder, nor ml-1m or ml-20m")
    home = pathlib.Path(data_dir) / dataset
    candidates = [home / name for name in ("ratings.csv", "ratings.csv.gz", "ratings.dat", "ratings.dat.gz")]
    if (home / "dataset.json").exists():
        return home, None
    for candidate in candidates:
        if candidate.exists():
            return candidate, dataset
    raise ValueError(
        f"found no {dataset} under {data_dir}: looked for {home}/dataset.json and "
        f"{', '.join(map(str, candidates))}; download it from https://grouplens.org/datasets/movielens"
    )


@dataclasses.dataclass(frozen=True)
class Counts:
    users: int
    items: int
    positives: int


def read_counts(folder):
    description = json.loads((pathlib.Path(folder) / "dataset.json").read_text())
    return Counts(description["users"], description["items"], description["positives"])


def raw_ids(folder, name):
    """The ids of a dataset as they stood in the ratings, by dense number: ints, or strings where one is no number."""
    folder = pathlib.Path(folder)
    if (folder / f"{name}.npy").exists():
        return np.load(folder / f"{name}.npy").tolist()
    offsets = np.load(folder / f"{name}_offsets.npy")
    text = np.load(folder / f"{name}_bytes.npy").tobytes()
    return [text[begin:end].decode() for begin, end in zip(offsets[:-1], offsets[1:])]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is asked of a producer (its options by their names), and how many batches there must be."""

    counts: Counts
    options: dict

    @property
    def train_steps(self):
        points = self.options["--epochs-per-cycle"] * self.counts.positives * (1 + self.options["--num-neg"])
        whole, rest = divmod(points, self.options["--batch-size"])
        return whole if rest == 0 or self.options["--padding"] == "drop" else whole + 1

    @property
    def eval_steps(self):
        return -(-self.counts.users * (1 + self.options["--eval-negatives"]) // self.options["--eval-batch-size"])


def write_flagfile(data_dir, cache_id, plan, match_mlperf):
    """Leaves what a producer needs to know for one that somebody else starts, under the names of 2018."""
    options = plan.options
    flags = {
        "data_dir": data_dir,
        "cache_id": cache_id,
        "num_neg": options["--num-neg"],
        "num_train_positives": plan.counts.positives,
        "num_items": plan.counts.items,
        "num_users": plan.counts.users,
        "num_readers": options["--readers"],
        "epochs_per_cycle": options["--epochs-per-cycle"],
        "train_batch_size": options["--batch-size"],
        "eval_batch_size": options["--eval-batch-size"],
        "ml_perf": match_mlperf,
        "seed": options.get("--seed"),
    }
    cache_root = pathlib.Path(data_dir) / f"{cache_id}_ncf_recommendation_cache"
    staging = cache_root / (FLAGFILE + ".temp")
    staging.write_text("".join(f"--{name}={value}\n" for name, value in flags.items()))
    staging.rename(cache_root / FLAGFILE)


# ---- the process


class Producer:
    """A producer of one cache: a child process, or with start() never called, somebody else's."""

    def __init__(self, data_dir, cache_id, log_file=None):
        self.data_dir = pathlib.Path(data_dir)
        self.cache_id = cache_id
        self.cache_root = self.data_dir / f"{cache_id}_ncf_recommendation_cache"
        self.log_file = pathlib.Path(log_file or self.data_dir / f"data_gen_proc_{cache_id}.log")
        self.process = None
        self._cleaned = False
        atexit.register(self.cleanup)

    def start(self, dataset_folder, options, match_mlperf):
        command = [program.find_program(), "produce", dataset_folder]
        command += ["--data-dir", self.data_dir, "--cache-id", self.cache_id]
        command += ["--parent", os.getpid()]
        for name, value in options.items():
            command += [name, value]
        if match_mlperf:
            command.append("--mlperf")
        # In a session of its own: Ctrl-C in the terminal reaches the trainer alone, which then ends the producer.
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_alive(self, timeout):
        """Waits for subproc.alive. Raises ProducerError that says why it does not come."""
        alive = self.cache_root / ALIVE_FILE
        deadline = time.monotonic() + timeout
        while not alive.exists():
            if self.process is not None and self.process.poll() is not None:
                raise ProducerError(f"the producer did not start: {self._last_words()}")
            if time.monotonic() >= deadline:
                raise ProducerError(
                    f"no producer is alive after {timeout} s: {alive} is not there; {self._last_words()}"
                )
            time.sleep(_PAUSE_SECONDS)

    def wait_for(self, look, timeout=None):
        """Calls look() until it answers. Raises ProducerError when nothing more can come, TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            dead = not self.is_alive()  # asked first: what a producer published before its end is still found
            found = look()
            if found is not None:
                return found
            if dead:
                raise ProducerError(f"the producer has died, and its data will not come: {self._last_words()}")
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"the next data was not ready within {timeout} s; {self._last_words()}")
            time.sleep(_PAUSE_SECONDS)

    def is_alive(self):
        if self.process is not None:
            return self.process.poll() is None
        return _names_a_process(self.cache_root / ALIVE_FILE)

    def _last_words(self):
        status = "" if self.process is None else self.process.poll()
        ending = "" if not isinstance(status, int) else f"exit status {status}; "
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            lines = []
        said = " | ".join(lines) if lines else "nothing"
        return f"{ending}its log {self.log_file} ends with: {said}"

    def cleanup(self):
        """Ends the process and removes the cache. Only the first call does anything."""
        if self._cleaned:
            return
        self._cleaned = True
        atexit.unregister(self.cleanup)
        if self.process is not None:
            self._shut_down()
        shutil.rmtree(self.cache_root, ignore_errors=True)

    def _shut_down(self):
        for request, patience in ((signal.SIGINT, 5), (signal.SIGTERM, 1), (signal.SIGKILL, 5)):
            try:
                self.process.send_signal(request)  # does nothing when the process has ended
                self.process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue
        _log.error("The producer (pid %d) could not be ended", self.process.pid)


def _names_a_process(alive_file):
    """Whether the process that wrote subproc.alive still runs: its number may belong to another one by now."""
    try:
        content = json.loads(alive_file.read_text())
        fields = pathlib.Path(f"/proc/{content['pid']}/stat").read_text().rpartition(")")[2].split()
        return fields[0] != "Z" and int(fields[19]) == content["start_ticks"]
    except (OSError, ValueError, KeyError):
        return False

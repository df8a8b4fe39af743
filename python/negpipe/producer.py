"""The process `negpipe produce` beside a trainer: started, waited for, ended."""

import atexit
import dataclasses
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np

from negpipe import program
from negpipe.messages import log, tell

ALIVE_FILE = "subproc.alive"
FLAGFILE = "flagfile"

# Users and items of the data sets that are known by name, as `negpipe prepare --expect` has them.
_KNOWN_COUNTS = {"ml-1m": (6_040, 3_706), "ml-20m": (138_493, 26_744)}
_PAUSE_SECONDS = 0.05


class ProducerError(ValueError):
    """The producer did not come to life, or died; the message holds its last words. (In 2018 it was a ValueError.)"""


# ---- the dataset


def make_cache(data_dir, cache_id):
    """Creates the cache folder. Raises ValueError when it exists."""
    if "/" in cache_id:
        raise ValueError(f"cache_id is {cache_id!r}: it becomes part of a file's name, which has no place for a /")
    cache_root = pathlib.Path(data_dir) / f"{cache_id}_ncf_recommendation_cache"
    try:
        cache_root.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(f"{cache_root} exists already; remove it, or give another cache_id") from None
    return cache_root


def settle_dataset(dataset, data_dir, cache_root, match_mlperf, min_ratings, seed):
    """The folder of a prepared dataset: the one given, or one prepared below the cache folder."""
    source, expected = _find_dataset(dataset, pathlib.Path(data_dir))
    folder = cache_root / "dataset"
    if (source / "dataset.json").exists():
        _check_counts(source, expected)
        folder.symlink_to(source)  # where a producer looks that is told the cache alone
        return source
    options = ["--min-ratings", min_ratings, "--quiet"]
    if match_mlperf:
        options += ["--mlperf"] + ([] if seed is None else ["--seed", seed])
    if expected:
        options += ["--expect", expected]
    program.run("prepare", source, "--out", folder, *options)
    return folder


def _find_dataset(dataset, data_dir):
    """The path of a dataset, absolute, and the known name by which it was asked for, if it was."""
    path = pathlib.Path(dataset)
    if dataset not in _KNOWN_COUNTS:
        if path.exists():
            return path.resolve(), None
        raise ValueError(f"{dataset} is neither a ratings file nor a prepared folder, nor ml-1m or ml-20m")
    home = data_dir / dataset
    if (home / "dataset.json").exists():
        return home.resolve(), dataset
    candidates = [home / name for name in ("ratings.csv", "ratings.csv.gz", "ratings.dat", "ratings.dat.gz")]
    for candidate in (*candidates, path):
        if candidate.exists():
            return candidate.resolve(), dataset
    raise ValueError(
        f"found no {dataset} under {data_dir}: looked for {home}/dataset.json and "
        f"{', '.join(map(str, candidates))}; download it from https://grouplens.org/datasets/movielens"
    )


def _check_counts(folder, expected):
    if expected is None:
        return
    counts = read_counts(folder)
    users, items = _KNOWN_COUNTS[expected]
    if (counts.users, counts.items) != (users, items):
        raise ValueError(
            f"{folder} has {counts.users} users and {counts.items} items, but {expected} has {users} and {items}; "
            f"give its path, such as ./{expected}, if it is another data set that is meant"
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
    """The ids of a dataset as they stood in the ratings, by dense number: ints, or strings where one is no number.

    Bytes that are not UTF-8 become surrogates: id.encode("utf-8", "surrogateescape") gives the bytes of the ratings.
    """
    folder = pathlib.Path(folder)
    if (folder / f"{name}.npy").exists():
        return np.load(folder / f"{name}.npy").tolist()
    offsets = np.load(folder / f"{name}_offsets.npy")
    text = np.load(folder / f"{name}_bytes.npy").tobytes()
    return [text[begin:end].decode(errors="surrogateescape") for begin, end in zip(offsets[:-1], offsets[1:])]


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
        self.log_file = pathlib.Path(log_file or self.data_dir / f"data_gen_proc_{cache_id}.log").absolute()
        self.process = None
        self._owner = os.getpid()  # a process that is forked off inherits this object, and its atexit, but no child
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
        if not alive.exists():
            tell("Waiting for the producer to make %s", alive)
        while not alive.exists():
            if self.process is not None and self.process.poll() is not None:
                raise ProducerError(f"the producer did not start: {self._last_words()}")
            if time.monotonic() >= deadline:
                raise ProducerError(
                    f"no producer is alive after {timeout} s: {alive} is not there; {self._last_words()}"
                )
            time.sleep(_PAUSE_SECONDS)

    def wait_for(self, what, look, timeout=None):
        """Calls look() until it answers. Raises ProducerError when nothing more can come, TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for attempt in itertools.count():
            dead = not self.is_alive()  # asked first: what a producer published before its end is still found
            found = look()
            if found is not None:
                return found
            if dead:
                raise ProducerError(f"the producer has died, and its data will not come: {self._last_words()}")
            if attempt == 0:
                tell("Waiting for %s", what)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"the next data was not ready within {timeout} s; {self._last_words()}")
            time.sleep(_PAUSE_SECONDS)

    def is_alive(self):
        if self._has_child():
            return self.process.poll() is None
        return _speaks_of_the_living(self.cache_root / ALIVE_FILE)

    def _has_child(self):
        return self.process is not None and os.getpid() == self._owner

    def _last_words(self):
        status = self.process.poll() if self._has_child() else ""
        ending = "" if not isinstance(status, int) else f"exit status {status}; "
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            lines = []
        said = " | ".join(lines) if lines else "nothing"
        return f"{ending}its log {self.log_file} ends with: {said}"

    def cleanup(self):
        """Ends the process and removes the cache. Once it has, or in a process that was forked off, it does nothing."""
        if self._cleaned or os.getpid() != self._owner:
            return
        if self.process is not None:
            self._shut_down()
        shutil.rmtree(self.cache_root, ignore_errors=True)
        if self.process is not None and self.cache_root.exists():  # somebody else's ends and tidies up by itself
            log.warning("%s could not be removed", self.cache_root)
        atexit.unregister(self.cleanup)
        self._cleaned = True  # last: what Ctrl-C cut short is done by the next call

    def _shut_down(self):
        for request, patience in ((signal.SIGINT, 5), (signal.SIGTERM, 1), (signal.SIGKILL, 5)):
            try:
                self.process.send_signal(request)  # does nothing when the process has ended
                self.process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue
        log.error("The producer (pid %d) could not be ended", self.process.pid)


def _speaks_of_the_living(alive_file):
    """Whether subproc.alive is there, and does not name a process that is known to have ended.

    A producer on another machine, or in another container, cannot be looked at from here: that its file is there has
    to do. Of one nearby the number may belong to another process by now.
    """
    try:
        content = json.loads(alive_file.read_text())
        if {name: content[name] for name in ("boot_id", "pid_namespace")} != _whereabouts():
            return True
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True
    try:
        fields = pathlib.Path(f"/proc/{content['pid']}/stat").read_text().rpartition(")")[2].split()
        return fields[0] != "Z" and int(fields[19]) == content["start_ticks"]
    except (OSError, ValueError, KeyError, IndexError):
        return False


def _whereabouts():
    """Among which processes a pid means something, as subproc.alive has it. Raises OSError where that is not known."""
    return {
        "boot_id": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pid_namespace": os.readlink("/proc/self/ns/pid"),
    }

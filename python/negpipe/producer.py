"""Starts `negpipe produce` beside a trainer, waits for it, and ends it."""

import atexit
import dataclasses
import itertools
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import time

import numpy as np

from negpipe import program, removal
from negpipe.messages import log, tell

ALIVE_FILE = "subproc.alive"
FLAGFILE = "flagfile"

# Users and items of the named data sets, as in `negpipe prepare --expect`.
_KNOWN_COUNTS = {"ml-1m": (6_040, 3_706), "ml-20m": (138_493, 26_744)}
_PAUSE_SECONDS = 0.05
_MAX_STEP_SECONDS = 1.0
_MAX_SMALL_FILE_BYTES = 1 << 20
_CACHE_SUFFIX = "_ncf_recommendation_cache"

# The arguments of instantiate_pipeline by flag of the program; see with_python_names.
_ARGUMENTS = {
    "--readers": "num_data_readers",
    "--mlperf": "match_mlperf",
    "--no-eval": "evaluation=False",
    "--eval-infeasible": "eval_infeasible",
    "--duplicates": "duplicates",
    **{
        "--" + name.replace("_", "-"): name
        for name in (
            "alpha batch_size cache_id cycles_ahead data_dir device distribution epochs_per_cycle eval_alpha "
            "eval_batch_size eval_distribution eval_negatives eval_weights layout log_file min_ratings num_neg padding "
            "seed threads timeout weights"
        ).split()
    },
}


class ProducerError(ValueError):
    """The producer did not start, or ended; the message contains its last log lines. A ValueError, as in 2018."""


def with_python_names(message):
    """Returns a message of the program with flags replaced by arguments of instantiate_pipeline."""
    return re.sub(r"--[a-z]+(?:-[a-z]+)*", lambda flag: _ARGUMENTS.get(flag[0], flag[0]), message)


class Patience:
    """A deadline that excludes time in which this process is stopped (SIGSTOP, Ctrl-Z, a debugger).

    Call is_over() at least once a second: a longer interval counts as one second.
    """

    def __init__(self, seconds):
        self._left = seconds
        self._last = time.monotonic()

    def is_over(self):
        if self._left is None:
            return False
        now = time.monotonic()
        self._left -= min(now - self._last, _MAX_STEP_SECONDS)
        self._last = now
        return self._left <= 0


def read_small_file(path):
    """Returns the text of a regular file of at most 1 MiB, without blocking. Raises OSError, ValueError."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is not a regular file")
        content = file.read(_MAX_SMALL_FILE_BYTES + 1)
    if len(content) > _MAX_SMALL_FILE_BYTES:
        raise ValueError(f"{path} has more than {_MAX_SMALL_FILE_BYTES} bytes")
    return content.decode(errors="replace")


# ---- the dataset


def check_cache_id(cache_id):
    """Raises ValueError unless the id is a plain name. The program has the same rules."""
    reason = None
    if not cache_id:
        reason = "it is empty"
    elif "/" in cache_id:
        reason = "it becomes part of a file name, which cannot contain a /"
    elif cache_id[0] == ".":
        reason = "it starts with a dot"
    elif any(ord(character) < 0x20 or ord(character) == 0x7F for character in cache_id):
        reason = "it contains a control character"
    elif cache_id[0] == " " or cache_id[-1] == " ":
        reason = "it starts or ends with a space"
    elif len(os.fsencode(cache_id + _CACHE_SUFFIX)) > 255:
        reason = "it is too long for the name of a folder"
    if reason:
        raise ValueError(f"cache_id is {cache_id!r}: {reason}; give a plain name, such as 'run-1'")


def make_cache(data_dir, cache_id):
    """Creates the cache folder. Raises ValueError if it exists or cache_id is not a plain name."""
    check_cache_id(cache_id)
    cache_root = pathlib.Path(data_dir) / (cache_id + _CACHE_SUFFIX)
    try:
        cache_root.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(f"{cache_root} exists already; remove it, or give another cache_id") from None
    return cache_root


def settle_dataset(dataset, data_dir, cache_root, match_mlperf, min_ratings, seed, duplicates="error"):
    """Returns the folder of a prepared dataset: the given one, or one prepared in the cache folder."""
    source, expected = _find_dataset(dataset, pathlib.Path(data_dir))
    folder = cache_root / "dataset"
    if (source / "dataset.json").exists():
        _check_counts(source, expected)
        folder.symlink_to(source)  # the default of a producer that is started with the cache only
        return source
    options = ["--min-ratings", min_ratings, "--duplicates", duplicates, "--quiet"]
    if match_mlperf:
        options += ["--mlperf"] + ([] if seed is None else ["--seed", seed])
    if expected:
        options += ["--expect", expected]
    program.run("prepare", source, "--out", folder, *options)
    return folder


def _find_dataset(dataset, data_dir):
    """Returns the absolute path of a dataset, and its name if it was given by name (ml-1m, ml-20m), else None."""
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
            f"for another data set of that name, give its path, such as ./{expected}"
        )


@dataclasses.dataclass(frozen=True)
class Counts:
    users: int
    items: int
    positives: int


def read_counts(folder):
    path = pathlib.Path(folder) / "dataset.json"
    try:
        description = json.loads(read_small_file(path))
        return Counts(*(int(description[name]) for name in ("users", "items", "positives")))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as failure:
        raise ValueError(f"{path} does not describe a dataset: {failure!r}; prepare it again") from failure


def raw_ids(folder, name):
    """Returns the raw ids of a dataset by dense number: ints, or strings if one of them is not a number.

    Bytes that are not UTF-8 become surrogates: id.encode("utf-8", "surrogateescape") gives the bytes of the ratings.
    """
    folder = pathlib.Path(folder)

    def load(array):
        shards = sorted(folder.glob(f"{array}.[0-9]*.npy"))
        return np.concatenate([np.load(file) for file in shards]) if shards else np.load(folder / f"{array}.npy")

    if not list(folder.glob(f"{name}_offsets.*")):
        return load(name).tolist()
    offsets = load(f"{name}_offsets")
    text = load(f"{name}_bytes").tobytes()
    return [text[begin:end].decode(errors="surrogateescape") for begin, end in zip(offsets[:-1], offsets[1:])]


def distribution_options(prefix, distribution, alpha, weights, cache_root):
    """Returns the options of a distribution by flag. prefix: of the flags, "" or "eval-".

    weights: an .npy file, an array, which is written to the cache folder, or None.
    """
    options = {} if distribution == "uniform" else {f"--{prefix}distribution": distribution}
    if alpha is not None:
        options[f"--{prefix}alpha"] = alpha
    if weights is None:
        return options
    if isinstance(weights, (str, os.PathLike)):
        path = pathlib.Path(weights).absolute()
    else:
        path = pathlib.Path(cache_root) / f"{prefix}weights.npy"
        array = np.asarray(weights)
        if array.dtype.kind not in "iu":
            name = f"{prefix}weights".replace("-", "_")
            raise ValueError(f"{name} is {array.dtype}; expected integers, one an item, or the path of an .npy file")
        np.save(path, array.astype(np.uint64 if array.dtype == np.uint64 else np.int64))
    return options | {f"--{prefix}weights": path}


@dataclasses.dataclass(frozen=True)
class Plan:
    """The options of a producer by flag, and the resulting numbers of batches."""

    counts: Counts
    options: dict

    @property
    def train_steps(self):
        points = self.options["--epochs-per-cycle"] * self.counts.positives
        if self.options.get("--layout", "pointwise") == "pointwise":
            points *= 1 + self.options["--num-neg"]
        whole, rest = divmod(points, self.options["--batch-size"])
        return whole if rest == 0 or self.options["--padding"] == "drop" else whole + 1

    @property
    def eval_steps(self):
        if "--no-eval" in self.options:
            return 0
        return -(-self.counts.users * (1 + self.options["--eval-negatives"]) // self.options["--eval-batch-size"])


def write_flagfile(data_dir, cache_id, plan, match_mlperf):
    """Writes the options under their names of 2018, for a producer that the caller starts.

    Raises ValueError for a path with a line break.
    """
    if "\n" in str(data_dir) or "\0" in str(data_dir):
        raise ValueError(f"data_dir is {str(data_dir)!r}: a flag file cannot contain a line break in a path")
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
    cache_root = pathlib.Path(data_dir) / (cache_id + _CACHE_SUFFIX)
    staging = cache_root / (FLAGFILE + ".temp")
    staging.write_text("".join(f"--{name}={value}\n" for name, value in flags.items()))
    staging.rename(cache_root / FLAGFILE)


# ---- the process


class Producer:
    """The producer of one cache: a child process, or one that the caller starts if start() is not called."""

    def __init__(self, data_dir, cache_id, log_file=None):
        self.data_dir = pathlib.Path(data_dir)
        self.cache_id = cache_id
        self.cache_root = self.data_dir / (cache_id + _CACHE_SUFFIX)
        self.log_file = pathlib.Path(log_file or self.data_dir / f"data_gen_proc_{cache_id}.log").absolute()
        self.process = None
        self._log_start = 0  # the file may contain messages of earlier producers
        self._hidden_root = removal.hidden_name(self.cache_root)
        self._owner = os.getpid()  # a forked process inherits this object and its atexit handler, but not the child
        self._cleaned = False
        atexit.register(self.cleanup)

    def start(self, dataset_folder, options, match_mlperf):
        """Starts the child. Raises ProgramError, OSError for the log file."""
        program.open_standard_streams()
        options = {**options, "--data-dir": self.data_dir, "--cache-id": self.cache_id, "--parent": os.getpid()}
        command = [program.find_program(), "produce", str(dataset_folder)]
        command += [f"{name}={value}" for name, value in options.items()]
        if match_mlperf:
            command.append("--mlperf")
        with open(self.log_file, "ab") as log_stream:
            self._log_start = os.fstat(log_stream.fileno()).st_size
            # In a new session, Ctrl-C in the terminal reaches only the trainer, which then ends the producer.
            try:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log_stream, stderr=log_stream, start_new_session=True
                )
            except (OSError, ValueError) as failure:
                raise program.ProgramError(f"cannot start {command[0]}: {failure}") from failure

    def wait_until_alive(self, timeout):
        """Waits for subproc.alive. Raises ProducerError with the reason if it does not appear."""
        alive = self.cache_root / ALIVE_FILE
        patience = Patience(timeout)
        if not alive.exists():
            tell("Waiting for the producer to make %s", alive)
        while not alive.exists():
            if self.process is not None and self.process.poll() is not None:
                raise ProducerError(f"the producer did not start: {self._reason()}")
            if patience.is_over():
                raise ProducerError(
                    f"no producer is alive after {timeout} s: {alive} is not there; {self._last_words()}"
                )
            time.sleep(_PAUSE_SECONDS)

    def wait_for(self, what, look, timeout=None):
        """Calls look() until it returns something. Raises ProducerError if the producer has ended, and TimeoutError."""
        patience = Patience(timeout)
        for attempt in itertools.count():
            dead = not self.is_alive()  # before look(), so that output published just before the end is found
            found = look()
            if found is not None:
                return found
            if dead:
                raise ProducerError(f"the producer has died, and its data will not come: {self._last_words()}")
            if attempt == 0:
                tell("Waiting for %s", what)
            if patience.is_over():
                raise TimeoutError(f"the next data was not ready within {timeout} s; {self._last_words()}")
            time.sleep(_PAUSE_SECONDS)

    def is_alive(self):
        if self._has_child():
            return self.process.poll() is None
        return _names_a_living_process(self.cache_root / ALIVE_FILE)

    def _has_child(self):
        return self.process is not None and os.getpid() == self._owner

    def _log_lines(self):
        try:
            with open(self.log_file, "rb") as file:
                file.seek(self._log_start)
                return file.read(_MAX_SMALL_FILE_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return []

    def _reason(self):
        """Returns why the child ended: its error message, else its last log lines."""
        errors = [line.partition("negpipe: ")[2] for line in self._log_lines() if line.startswith("negpipe: ")]
        if not errors:
            return self._last_words()
        return f"{with_python_names(errors[-1])} (exit status {self.process.poll()}; its log is {self.log_file})"

    def _last_words(self):
        status = self.process.poll() if self._has_child() else None
        ending = "" if status is None else f"exit status {status}; "
        said = " | ".join(self._log_lines()[-5:]) or "nothing"
        return f"{ending}its log {self.log_file} ends with: {said}"

    def cleanup(self):
        """Ends the process and removes the cache. Does nothing in a second call, or in a forked process."""
        if self._cleaned or os.getpid() != self._owner:
            return
        if self.process is not None:
            self._shut_down()
        try:
            removal.remove_tree(self.cache_root, self._hidden_root)
        except OSError as failure:
            log.warning("%s could not be removed: %s", self.cache_root, failure)
        atexit.unregister(self.cleanup)
        self._cleaned = True  # last, so that the next call continues after Ctrl-C

    def _shut_down(self):
        for request, patience in ((signal.SIGINT, 5), (signal.SIGTERM, 1), (signal.SIGKILL, 5)):
            try:
                self.process.send_signal(request)  # does nothing if the process has ended
                self.process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                continue
        log.error("The producer (pid %d) could not be ended", self.process.pid)


def _names_a_living_process(alive_file):
    """Returns whether subproc.alive exists and its process is not known to have ended.

    A process on another machine or in another container cannot be examined: the file is enough. Otherwise the start
    time detects a pid that now belongs to another process.
    """
    try:
        content = json.loads(read_small_file(alive_file))
        if {name: content[name] for name in ("boot_id", "pid_namespace")} != _whereabouts():
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return True
    try:
        fields = pathlib.Path(f"/proc/{int(content['pid'])}/stat").read_text().rpartition(")")[2].split()
        return fields[0] != "Z" and int(fields[19]) == content["start_ticks"]
    except (OSError, ValueError, KeyError, IndexError, TypeError, OverflowError):
        return False


def _whereabouts():
    """Returns the pid namespace as in subproc.alive. Raises OSError if it is unknown."""
    return {
        "boot_id": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pid_namespace": os.readlink("/proc/self/ns/pid"),
    }

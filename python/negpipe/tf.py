"""TensorFlow input functions on the records of `negpipe produce`, with the signatures of the 2018 pipeline.

ncf_dataset, cleanup_fn = instantiate_pipeline("ml-1m", data_dir, batch_size=65536, eval_batch_size=160000)
for cycle in ncf_dataset.cycles(20):
  model.fit(cycle.dataset)
cleanup_fn()
"""

import math
import os
import pathlib
import secrets
import shlex
import time

import numpy as np
import tensorflow as tf

from negpipe import producer, records, removal
from negpipe.messages import log, tell

USER_COLUMN = records.USER_COLUMN
ITEM_COLUMN = records.ITEM_COLUMN
DUPLICATE_MASK = records.DUPLICATE_MASK
VALID_POINT_MASK = records.VALID_POINT_MASK

NUM_EVAL_NEGATIVES = 999
SYNTHETIC_BATCHES_PER_EPOCH = 2000
_MAX_TIMEOUT_SECONDS = 2**31

ProducerError = producer.ProducerError


class Cycle:
    """One cycle of training data: number, dataset (a tf.data.Dataset), record_dir, batch_count."""

    def __init__(self, number, dataset, record_dir, batch_count):
        self.number = number
        self.dataset = dataset
        self.record_dir = record_dir
        self.batch_count = batch_count


class NCFDataset:
    """A dataset and the producer of its cycles. A context manager: leaving it calls cleanup().

    Attributes: num_users, num_items, num_train_positives, num_data_readers, deterministic; batch_size,
    eval_batch_size; num_train_steps and num_eval_steps (batches per cycle and of the evaluation); cache_root;
    dataset_folder.
    """

    def __init__(self, dataset_folder, handle, plan, deterministic):
        self.dataset_folder = pathlib.Path(dataset_folder)
        self.cache_root = handle.cache_root
        self.train_epoch_dir = self.cache_root / records.TRAINING_FOLDER
        self.eval_data_subdir = self.cache_root / records.EVALUATION_FOLDER
        self.deterministic = deterministic
        self.num_data_readers = plan.options["--readers"]
        self.num_users = plan.counts.users
        self.num_items = plan.counts.items
        self.num_train_positives = plan.counts.positives
        self.batch_size = plan.options["--batch-size"]
        self.eval_batch_size = plan.options["--eval-batch-size"]
        self.num_train_steps = plan.train_steps
        self.num_eval_steps = plan.eval_steps
        self.producer = handle
        self._maps = {}

    @property
    def user_map(self):
        """{raw id: dense number}"""
        return self._map("user_ids")

    @property
    def item_map(self):
        """{raw id: dense number}"""
        return self._map("item_ids")

    def _map(self, name):
        if name not in self._maps:
            self._maps[name] = {raw: i for i, raw in enumerate(producer.raw_ids(self.dataset_folder, name))}
        return self._maps[name]

    def cleanup(self):
        """Ends the producer and removes the cache. May be called more than once."""
        self.producer.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()

    def cycles(self, count=None, *, timeout=None, params=None):
        """Yields `count` cycles (None: endlessly), and deletes each when the next is requested.

        Raises the exceptions of make_input_fn, and OSError if a cycle cannot be deleted: it would be read again.
        """
        made = 0
        while count is None or made < count:
            input_fn, record_dir, batch_count = make_input_fn(self, True, timeout=timeout)
            number = records.RecordFolder(record_dir).ready["cycle"]
            try:
                yield Cycle(
                    number, input_fn({"batch_size": self.batch_size, **(params or {})}), record_dir, batch_count
                )
            finally:
                _delete(pathlib.Path(record_dir))
            made += 1

    def evaluation_dataset(self, *, timeout=None, params=None):
        """Returns the evaluation data as a tf.data.Dataset, which may be read any number of times."""
        input_fn, _, _ = make_input_fn(self, False, timeout=timeout)
        return input_fn({"eval_batch_size": self.eval_batch_size, **(params or {})})


def _delete(record_dir):
    # Renamed first, so that a trainer that is killed leaves no incomplete cycle. The producer clears the folder for
    # unfinished work when it starts and when it ends.
    unfinished = record_dir.parent.parent / ".partial"
    try:
        hidden = removal.hidden_name(record_dir, unfinished if unfinished.is_dir() else None)
        removal.remove_tree(record_dir, hidden)
    except OSError as failure:
        raise OSError(f"cannot delete {record_dir}, which would be read again: {failure}") from failure


def instantiate_pipeline(
    dataset,
    data_dir,
    batch_size,
    eval_batch_size,
    num_data_readers=None,
    num_neg=4,
    epochs_per_cycle=1,
    match_mlperf=False,
    deterministic=False,
    use_subprocess=True,
    cache_id=None,
    *,
    seed=None,
    eval_negatives=NUM_EVAL_NEGATIVES,
    eval_infeasible="skip",
    evaluation=True,
    min_ratings=20,
    duplicates="error",
    padding="resample",
    layout="pointwise",
    distribution="uniform",
    alpha=None,
    weights=None,
    eval_distribution="uniform",
    eval_alpha=None,
    eval_weights=None,
    cycles_ahead=3,
    timeout=7200,
    start_timeout=300,
    device="cpu",
    threads=0,
    log_file=None,
):
    """Prepares the dataset if necessary, and starts a producer for it.

    Args:
      dataset: a ratings file, a folder made by `negpipe prepare`, or "ml-1m" or "ml-20m": then a prepared folder of
        that name, or NAME/ratings.csv, .csv.gz, .dat or .dat.gz, is searched in data_dir first, and its numbers of
        users and items are checked.
      data_dir: parent of the cache folder. A relative path is resolved by this call.
      batch_size: points per training batch.
      eval_batch_size: a multiple of eval_negatives + 1.
      num_data_readers: record files per cycle; default: half the number of cores.
      num_neg: negatives per positive.
      epochs_per_cycle: epochs that are shuffled together.
      match_mlperf: prepare and evaluate as the MLPerf reference does.
      deterministic: read batches in order. Without seed, one is drawn from NumPy's global generator, so that
        np.random.seed() determines everything.
      use_subprocess: if False, the caller runs `negpipe produce --data-dir D --cache-id ID`, which reads its options
        from a file that this function writes. Keyword-only arguments must be repeated there.
      cache_id: name of the cache folder, which must not exist. No slashes, no control characters, no leading dot, no
        spaces at the ends. Default: the time and a random number.
      seed: determines all random choices. Drawn if neither seed nor deterministic is given; ready.json records it.
      device: as in the program. Default: the CPU, because TensorFlow takes all memory of the GPUs it sees. Use "cuda:1"
        for a GPU that the trainer does not use, "auto" for a trainer on the CPU.
      layout: "pointwise", or "pairwise": rows of a user, a positive and num_neg negatives; batch_size counts rows, and
        cycles yield {user_id, item_id, negative_item_id} without labels.
      distribution, alpha: of training negatives: "uniform", or "popularity" to the power of alpha (0.75 by default).
      weights: integers [num_items] instead, or the path of an .npy file with them.
      eval_distribution, eval_alpha, eval_weights: the same for evaluation negatives; eval_alpha is 1 by default.
      eval_negatives, eval_infeasible, min_ratings, duplicates, padding, cycles_ahead, timeout, threads, log_file: as in
        the program. timeout is rounded up to seconds. Default of log_file: DATA_DIR/data_gen_proc_ID.log.
      evaluation: if False, no evaluation data is made, and asking for it raises ValueError.
      start_timeout: seconds to wait for the start of the producer. No timeout includes time in which this process is
        stopped.

    Returns:
      (NCFDataset, cleanup_fn). cleanup_fn() ends the producer and removes the cache; it also runs when the interpreter
      exits. It does nothing in a forked process.

    Raises:
      ValueError for invalid arguments; negpipe.program.ProgramError if the program is missing or cannot prepare the
      dataset;
      ProducerError (a ValueError) if the producer does not start, with the reason in terms of these arguments.
    """
    if deterministic and seed is None:
        seed = int(np.random.randint(2**31))
    data_dir = pathlib.Path(data_dir).absolute()
    num_data_readers = num_data_readers or max(1, (os.cpu_count() or 1) // 2)
    cache_id = str(cache_id) if cache_id is not None else f"{int(time.time())}_{secrets.token_hex(4)}"
    options = {
        "--batch-size": batch_size,
        "--eval-batch-size": eval_batch_size,
        "--readers": num_data_readers,
        "--num-neg": num_neg,
        "--eval-negatives": eval_negatives,
        "--eval-infeasible": eval_infeasible,
        "--epochs-per-cycle": epochs_per_cycle,
        "--padding": padding,
        "--layout": layout,
        "--cycles-ahead": cycles_ahead,
        "--timeout": math.ceil(min(timeout, _MAX_TIMEOUT_SECONDS)),
        "--device": device,
        "--threads": threads,
        **({} if seed is None else {"--seed": seed}),
        **({} if evaluation else {"--no-eval": "true"}),
    }
    cache_root = producer.make_cache(data_dir, cache_id)
    handle = producer.Producer(data_dir, cache_id, log_file)
    try:
        options |= producer.distribution_options("", distribution, alpha, weights, cache_root)
        options |= producer.distribution_options("eval-", eval_distribution, eval_alpha, eval_weights, cache_root)
        folder = producer.settle_dataset(dataset, data_dir, cache_root, match_mlperf, min_ratings, seed, duplicates)
        plan = producer.Plan(producer.read_counts(folder), options)
        if use_subprocess:
            handle.start(folder, options, match_mlperf)
        else:
            producer.write_flagfile(data_dir, cache_id, plan, match_mlperf)
            command = ("negpipe", "produce", "--data-dir", str(data_dir), "--cache-id", cache_id)
            tell("Waiting for a producer; start it with: %s", shlex.join(command))
        handle.wait_until_alive(start_timeout)
    except BaseException:
        handle.cleanup()
        raise
    ncf_dataset = NCFDataset(folder, handle, plan, deterministic)
    return ncf_dataset, ncf_dataset.cleanup


def make_input_fn(ncf_dataset, is_training, *, timeout=None):
    """Waits for the next cycle, or for the evaluation data.

    Returns (input_fn, record_dir, batch_count). input_fn(params) makes a tf.data.Dataset with the elements of
    read_dataset: ({user_id, item_id}, labels) or {user_id, item_id, duplicate_mask}. The caller must delete record_dir
    of a training cycle after reading it. If ncf_dataset is None, the data is synthetic.

    input_fn reads params["batch_size"], or for evaluation params["eval_batch_size"] if given, and raises ValueError if
    the records have another size. params["use_tpu"]: int32 items. params["hash_pipeline"]: logs the hashes first.

    Raises ProducerError if the producer has ended, TimeoutError after `timeout` seconds, and ValueError if the number
    of batches does not match the counts of the dataset.
    """
    if ncf_dataset is None:
        return make_synthetic_input_fn(is_training)
    if not is_training and not ncf_dataset.num_eval_steps:
        raise ValueError("this pipeline has no evaluation data: it was made with evaluation=False")
    folder = _wait_for_records(ncf_dataset, is_training, timeout)
    if folder.is_training != is_training:
        raise records.FormatError(f"{folder.path} contains data of the wrong kind: {folder.ready['kind']}")
    expected = ncf_dataset.num_train_steps if is_training else ncf_dataset.num_eval_steps
    if folder.batch_count != expected:
        raise ValueError(f"Step counts do not match: {folder.path} has {folder.batch_count} batches, {expected} wanted")

    def input_fn(params):
        batch_size = params["batch_size"] if is_training else params.get("eval_batch_size") or params["batch_size"]
        if folder.batch_size != batch_size:
            raise ValueError(f"{folder.path} has batches of {folder.batch_size}, but params ask for {batch_size}")
        dataset = read_dataset(folder, ncf_dataset.deterministic, params.get("use_tpu", False))
        if params.get("hash_pipeline"):
            hash_pipeline(dataset, ncf_dataset.deterministic)
        return dataset

    return input_fn, str(folder.path), folder.batch_count


def _wait_for_records(ncf_dataset, is_training, timeout):
    def look():
        if is_training:
            found = records.cycle_folders(ncf_dataset.train_epoch_dir)
            return found[0][1] if found else None
        path = ncf_dataset.eval_data_subdir
        return path if (path / records.READY_FILE).exists() else None

    what = f"a cycle in {ncf_dataset.train_epoch_dir}" if is_training else f"{ncf_dataset.eval_data_subdir}"
    return records.RecordFolder(ncf_dataset.producer.wait_for(what, look, timeout))


def read_dataset(folder, deterministic=True, int32_items=False):
    """Returns a tf.data.Dataset over a records.RecordFolder, batch by batch.

    Elements are ({user_id, item_id}, labels) for training points, {user_id, item_id, negative_item_id} for rows of the
    pairwise layout (negatives of shape [batch_size, num_neg]), {user_id, item_id, duplicate_mask} for evaluation data;
    valid_point_mask is among the features where the padding has one.

    deterministic: reads the files one after the other, in order; otherwise concurrently, with batches in any order.
    Raises FormatError unless all record files have the sizes that ready.json lists. TensorFlow checks their content.
    """
    folder.check_files()
    files = [str(path) for path in folder.files]
    compression = "GZIP" if folder.compressed else ""
    dataset = tf.data.Dataset.from_tensor_slices(files)
    if deterministic:
        dataset = dataset.flat_map(lambda file: tf.data.TFRecordDataset(file, compression))
    else:
        dataset = dataset.interleave(
            lambda file: tf.data.TFRecordDataset(file, compression),
            cycle_length=len(files),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,
        )
    dataset = dataset.map(
        _make_deserialize(folder, int32_items), num_parallel_calls=tf.data.AUTOTUNE, deterministic=deterministic
    )
    # A few batches suffice to have the next one ready, and batches may be large.
    return dataset.prefetch(8).apply(tf.data.experimental.assert_cardinality(folder.batch_count))


def _make_deserialize(folder, int32_items):
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in folder.dtypes}
    dtypes = {name: tf.dtypes.as_dtype(dtype.newbyteorder("=")) for name, dtype in folder.dtypes.items()}

    def deserialize(record):
        raw = tf.io.parse_single_example(record, features)
        columns = {}
        for name, dtype in dtypes.items():
            column = tf.reshape(tf.io.decode_raw(raw[name], dtype), folder.shapes[name])
            if name in (ITEM_COLUMN, records.NEGATIVE_ITEM_COLUMN) and int32_items:
                column = tf.cast(column, tf.int32)  # the infeed of TPUs does not support uint16
            columns[name] = tf.cast(column, tf.bool) if dtype == tf.int8 else column
        labels = columns.pop(records.LABELS, None)
        return columns if labels is None else (columns, labels)

    return deserialize


def make_synthetic_input_fn(is_training):
    """Returns an input_fn of 2,000 equal batches of random points, to time a model without data."""

    def input_fn(params):
        batch_size = params["batch_size"] if is_training else params.get("eval_batch_size") or params["batch_size"]

        def uniform(maximum):
            return tf.random.uniform([batch_size], maxval=maximum, dtype=tf.int32)

        features = {USER_COLUMN: uniform(params["num_users"]), ITEM_COLUMN: uniform(params["num_items"])}
        flags = tf.cast(uniform(2), tf.bool)
        data = (features, flags) if is_training else {**features, DUPLICATE_MASK: flags}
        return tf.data.Dataset.from_tensors(data).repeat(SYNTHETIC_BATCHES_PER_EPOCH).prefetch(8)

    return input_fn, None, SYNTHETIC_BATCHES_PER_EPOCH


def hash_pipeline(dataset, deterministic):
    """Logs and returns (as a records.RecordHash) the hashes of a dataset's users and items, as `negpipe hash`.

    They differ if items were widened to int32 for a TPU.
    """
    if not deterministic:
        log.warning("The pipeline is not deterministic, so its hashes differ between runs")
    features = (batch[0] if isinstance(batch, tuple) else batch for batch in dataset)
    outcome = records.hash_batches("", ({name: column.numpy() for name, column in batch.items()} for batch in features))
    tell("  [pipeline_hash] Batch count: %d", outcome.batch_count)
    tell("  [pipeline_hash] First batch hash: %s", outcome.first_batch)
    tell("  [pipeline_hash] All batches hash: %s", outcome.all_batches)
    return outcome

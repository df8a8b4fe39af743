"""Hit rate and NDCG at k of evaluation rows: the held-out item first, then `num_neg` negatives of the same user.

The rank of the held-out item is the number of other items in its row that score at least as high: ties are settled
against the positive, so that a model that gives every item one score hits nothing. (The pipeline of 2018 settled them
in its favour: the same model hit always.) A score that is not a number never beats another, and as the positive's own
counts as last.

`duplicate_mask` is 1 where an item stood earlier in its row. A row whose mask sums to `num_neg` is padding and counts
for nothing. With match_mlperf duplicates score minus infinity, as the MLPerf reference has it; otherwise they count as
they stand.
"""

import dataclasses

import numpy as np

NUM_EVAL_NEGATIVES = 999
TOP_K = 10


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Means over the rows that count; 0.0 where there are none."""

    hit_rate: float
    ndcg: float
    row_count: int


def _rows(values, num_neg, dtype=None):
    return np.asarray(values, dtype).reshape(-1, num_neg + 1)


def ranks(scores, duplicate_mask, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
    """The rank of each row's positive, 0 for the best, and whether the row counts.

    scores and duplicate_mask hold whole rows, flat or [rows, num_neg + 1]. Returns int64 [rows] and bool [rows].
    """
    scores = _rows(scores, num_neg)
    duplicates = _rows(duplicate_mask, num_neg, bool)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if match_mlperf:
        scores = np.where(duplicates, -np.inf, scores)
    beaten = scores[:, 1:] < scores[:, :1]
    # A negative that is not a number is beaten too; a positive that is not one beats nothing.
    beaten |= np.isnan(scores[:, 1:]) & ~np.isnan(scores[:, :1])
    return num_neg - beaten.sum(axis=1), duplicates.sum(axis=1) != num_neg


class RankingMetrics:
    """Collects batches of evaluation rows."""

    def __init__(self, k=TOP_K, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
        self._k = k
        self._num_neg = num_neg
        self._match_mlperf = match_mlperf
        self._hits = 0
        self._gain = 0.0
        self._rows = 0

    def update(self, scores, duplicate_mask):
        rank, counts = ranks(scores, duplicate_mask, self._num_neg, self._match_mlperf)
        rank = rank[counts]
        in_top_k = rank[rank < self._k]
        self._hits += len(in_top_k)
        self._gain += float(np.sum(np.log(2.0) / np.log(in_top_k + 2.0)))
        self._rows += len(rank)

    def result(self):
        rows = max(self._rows, 1)
        return Metrics(self._hits / rows, self._gain / rows, self._rows)


def hit_rate_and_ndcg(scores, duplicate_mask, k=TOP_K, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
    """The Metrics of rows in memory."""
    metrics = RankingMetrics(k, num_neg, match_mlperf)
    metrics.update(scores, duplicate_mask)
    return metrics.result()


def compute_top_k_and_ndcg(logits, duplicate_mask, match_mlperf=False, k=TOP_K, num_neg=NUM_EVAL_NEGATIVES):
    """The same in TensorFlow, row by row.

    Returns in_top_k float32 [rows], ndcg float32 [rows], metric_weights bool [rows] (False for padding), and the logits
    as they were compared [rows, num_neg + 1].
    """
    import tensorflow as tf  # pylint: disable=import-outside-toplevel

    logits = tf.reshape(logits, (-1, num_neg + 1))
    if not logits.dtype.is_floating:
        logits = tf.cast(logits, tf.float64)  # minus infinity is no integer
    duplicates = tf.reshape(tf.cast(duplicate_mask, tf.bool), (-1, num_neg + 1))
    if match_mlperf:
        logits = tf.where(duplicates, tf.constant(-np.inf, logits.dtype), logits)
    positive = logits[:, :1]
    beaten = logits[:, 1:] < positive
    beaten |= tf.math.is_nan(logits[:, 1:]) & ~tf.math.is_nan(positive)
    rank = tf.cast(num_neg - tf.reduce_sum(tf.cast(beaten, tf.int32), axis=1), tf.float32)
    in_top_k = tf.cast(rank < k, tf.float32)
    ndcg = in_top_k * (tf.math.log(2.0) / tf.math.log(rank + 2.0))
    metric_weights = tf.reduce_sum(tf.cast(duplicates, tf.int32), axis=1) != num_neg
    return in_top_k, ndcg, metric_weights, logits

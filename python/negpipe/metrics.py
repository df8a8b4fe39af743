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
import math
import sys

import numpy as np

NUM_EVAL_NEGATIVES = 999
TOP_K = 10


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Means over the rows that count; 0.0 where there are none."""

    hit_rate: float
    ndcg: float
    row_count: int


def _namespace(scores):
    """The module whose functions work on the scores: torch, jax.numpy or numpy."""
    maker = type(scores).__module__.partition(".")[0]
    if maker == "torch":
        return sys.modules["torch"]
    if maker in ("jax", "jaxlib"):
        return sys.modules["jax"].numpy
    return np


def _as_rows(xp, values, num_neg):
    if xp is np or isinstance(values, np.ndarray):
        values = xp.asarray(values)
    return values.reshape(-1, num_neg + 1)


def _is_floating(xp, scores):
    if hasattr(scores, "is_floating_point"):
        return scores.is_floating_point()
    return xp.issubdtype(scores.dtype, np.floating)


def ranks(scores, duplicate_mask, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
    """The rank of each row's positive, 0 for the best, and whether the row counts.

    scores and duplicate_mask hold whole rows, flat or [rows, num_neg + 1]: NumPy, torch or JAX arrays, which are worked
    on where they are. Returns integers [rows] and bool [rows] of the scores' kind.
    """
    xp = _namespace(scores)
    scores = _as_rows(xp, scores, num_neg)
    duplicates = _as_rows(xp, duplicate_mask, num_neg)
    if xp.__name__ == "torch":
        duplicates = duplicates.to(scores.device)
    duplicates = duplicates != 0
    all_duplicates = duplicates.sum(1)
    duplicates = duplicates[:, 1:]
    positives, negatives = scores[:, :1], scores[:, 1:]
    beaten = negatives < positives
    if _is_floating(xp, scores):
        # A negative that is not a number is beaten too; a positive that is not one beats nothing.
        beaten |= xp.isnan(negatives) & ~xp.isnan(positives)
        beats_least = positives > -math.inf
    else:
        beats_least = positives == positives
    if match_mlperf:
        beaten = (beaten & ~duplicates) | (beats_least & duplicates)  # duplicates score minus infinity
    return num_neg - beaten.sum(1), all_duplicates != num_neg


class RankingMetrics:
    """Collects batches of evaluation rows, on the device of the scores: update() waits for nothing.

    k: one number, or several for several results at once.
    """

    def __init__(self, k=TOP_K, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
        self._single = isinstance(k, int)
        self._ks = (k,) if self._single else tuple(k)
        self._num_neg = num_neg
        self._match_mlperf = match_mlperf
        self._totals = None

    def update(self, scores, duplicate_mask):
        """Adds whole rows, as ranks() takes them."""
        xp = _namespace(scores)
        rank, counts = ranks(scores, duplicate_mask, self._num_neg, self._match_mlperf)
        gain = math.log(2.0) / xp.log(rank + 2.0)
        hits = [(rank < k) & counts for k in self._ks]
        sums = [hit.sum() for hit in hits]
        sums += [xp.where(hit, gain, xp.zeros_like(gain)).sum() for hit in hits]
        totals = xp.stack([value * xp.ones_like(gain.sum()) for value in (*sums, counts.sum())])
        self._totals = totals if self._totals is None else self._totals + totals

    @property
    def totals(self):
        """Hits for each k, gains for each k, and rows: floats [2 * len(k) + 1] of the scores' kind; None before
        update(). Add up those of all ranks, and give the sum to result()."""
        return self._totals

    def result(self, totals=None):
        """The Metrics, or a dict of them by k when several were asked for."""
        totals = self._totals if totals is None else totals
        values = [0.0] * (2 * len(self._ks) + 1) if totals is None else [float(value) for value in totals]
        count = len(self._ks)
        rows = max(values[-1], 1.0)
        found = {
            k: Metrics(values[i] / rows, values[count + i] / rows, int(values[-1])) for i, k in enumerate(self._ks)
        }
        return found[self._ks[0]] if self._single else found


def hit_rate_and_ndcg(scores, duplicate_mask, k=TOP_K, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
    """The Metrics of rows in memory, or a dict of them by k when k is several numbers."""
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

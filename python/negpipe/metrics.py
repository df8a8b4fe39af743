"""Metrics of evaluation rows (RankingMetrics) and of full ranking (FullRankingMetrics), at one k or several.

Arrays of NumPy, PyTorch and JAX are worked on where they are.

In both, ties are settled against the positive: an item with the same score stands before it, so that a model that gives
every item one score hits nothing. (The pipeline of 2018 settled them in its favour: the same model hit always.)

**Evaluation rows** hold the held-out item first, then `num_neg` negatives of the same user. The rank of the held-out
item is the number of other items in its row that score at least as high. A score that is not a number never beats
another, and as the positive's own counts as last.

`duplicate_mask` is 1 where an item stood earlier in its row. A row whose mask sums to `num_neg` is padding and counts
for nothing. With match_mlperf duplicates score minus infinity, as the MLPerf reference has it; otherwise they count as
they stand.

**Full ranking** has the scores of all items, with training positives masked (Dataset.mask_positives_), and one or many
held-out items a user. With m held-out items of a user, of which those at the ranks r_1 < r_2 < ... (0 for the best) are
within the first k:

- hit_rate: 1 if there is an r_1, else 0 (Deshpande and Karypis, Item-based top-N recommendation algorithms, 2004).
- recall: the number of these ranks / m (Manning, Raghavan and Schuetze, Introduction to Information Retrieval, 8.3).
- precision: the number of these ranks / k (the same).
- ndcg: the sum of 1 / log2(r_i + 2), divided by that of the ranks 0 .. min(m, k) - 1 (Jarvelin and Kekalainen,
  Cumulated gain-based evaluation of IR techniques, 2002, with gains of 0 and 1).
- mrr: 1 / (r_1 + 1), 0 if there is none (Voorhees, The TREC-8 question answering track report, 1999).
- map: the sum of i / (r_i + 1), divided by min(m, k) (Manning et al., 8.4, cut off at k as RecBole does).

Results are means over the users who have held-out items. A held-out item whose score is minus infinity or not a number
is never within the first k. Some papers divide recall by min(m, k) instead of m (Liang et al., WWW 2018); LightGCN and
RecBole divide by m, as here.
"""

import dataclasses
import math
import sys

import numpy as np

from negpipe import errors
from negpipe._numbers import checked_integer

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


def _as_rows(xp, values, num_neg, what):
    if xp is np or isinstance(values, np.ndarray):
        values = xp.asarray(values)
    shape, width = tuple(values.shape), num_neg + 1
    if (len(shape) == 2 and shape[1] not in (1, width)) or math.prod(shape) % width != 0:
        raise errors.OptionError(
            f"`{what}` has the shape {list(shape)}; expected rows of num_neg + 1 = {width} values. Give `num_neg` the "
            "number of negatives of the evaluation rows"
        )
    return values.reshape(-1, width)


def _is_floating(xp, scores):
    if hasattr(scores, "is_floating_point"):
        return scores.is_floating_point()
    return xp.issubdtype(scores.dtype, np.floating)


def ranks(scores, duplicate_mask, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
    """The rank of each row's positive, 0 for the best, and whether the row counts.

    scores and duplicate_mask hold whole rows, flat or [rows, num_neg + 1]: NumPy, torch or JAX arrays, which are worked
    on where they are. Returns integers [rows] and bool [rows] of the scores' kind. Raises OptionError (a ValueError)
    for rows of another length.
    """
    xp = _namespace(scores)
    scores = _as_rows(xp, scores, num_neg, "scores")
    duplicates = _as_rows(xp, duplicate_mask, num_neg, "duplicate_mask")
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


def _cutoffs(k):
    """Whether k is one number, and the numbers. Raises TypeError, OptionError."""
    try:
        several = tuple(k)
    except TypeError:
        return True, (checked_integer(k, "k", 2**31 - 1, 1),)
    if not several:
        raise errors.OptionError(f"`k`: {k!r} given; expected a number of at least 1, or several")
    return False, tuple(checked_integer(number, "k", 2**31 - 1, 1) for number in several)


class RankingMetrics:
    """Collects batches of evaluation rows, on the device of the scores: update() waits for nothing.

    k:       one number, or several for several results at once.
    num_neg: negatives of a row: num_negatives of the EvalLoader.
    """

    def __init__(self, k=TOP_K, num_neg=NUM_EVAL_NEGATIVES, match_mlperf=False):
        self._single, self._ks = _cutoffs(k)
        self._num_neg = checked_integer(num_neg, "num_neg", 2**31 - 2, 1)
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


# ---- full ranking


@dataclasses.dataclass(frozen=True)
class FullMetrics:
    """Means over the users who count; 0.0 where there are none."""

    hit_rate: float
    recall: float
    precision: float
    ndcg: float
    mrr: float
    map: float
    user_count: int


_FULL_COUNT = len(dataclasses.fields(FullMetrics)) - 1


def _padded(offsets, items):
    """Integers [users, most of a user], -1 where a user has fewer items."""
    offsets, items = np.asarray(offsets), np.asarray(items)
    counts = np.diff(offsets)
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != len(items) or (counts < 0).any():
        raise errors.OptionError(
            f"`heldout`: offsets {list(offsets.shape)} for {len(items)} items; expected [users + 1], ascending from 0 "
            "to the number of items"
        )
    padded = np.full((len(counts), max(counts.max(initial=0), 1)), -1, np.int64)
    padded[np.arange(padded.shape[1]) < counts[:, None]] = items
    return padded


def _heldout_rows(xp, scores, heldout):
    """Integers [users, most of a user], where the scores are."""
    heldout = _padded(*heldout) if isinstance(heldout, tuple) else heldout
    if scores.ndim != 2 or len(heldout) != len(scores):
        raise errors.OptionError(
            f"`heldout` is of {len(heldout)} users, `scores` have the shape {list(scores.shape)}; expected "
            f"[{len(heldout)}, items]"
        )
    if isinstance(heldout, np.ndarray) and heldout.size and heldout.max() >= scores.shape[1]:
        raise errors.OutOfRangeError(f"`heldout`: there is no item {heldout.max()}: scores have {scores.shape[1]}")
    if xp.__name__ == "torch":
        heldout = xp.as_tensor(heldout, dtype=xp.int64, device=scores.device)
    else:
        heldout = xp.asarray(heldout)
    return heldout.reshape(len(heldout), -1)


def _at_least_float32(xp, scores):
    if not _is_floating(xp, scores):
        raise errors.OptionError(f"`scores` is {scores.dtype}; expected a floating-point type")
    if scores.dtype.itemsize >= 4:
        return scores
    return scores.to(xp.float32) if xp.__name__ == "torch" else scores.astype(xp.float32)


def _largest(xp, values, count):
    """The `count` largest values of each row, in descending order."""
    if xp is np:
        return np.sort(np.partition(values, -count, axis=1)[:, -count:], axis=1)[:, ::-1]
    if xp.__name__ == "torch":
        return xp.topk(values, count, dim=1).values
    return sys.modules["jax"].lax.top_k(values, count)[0]


def _count_ahead(xp, others, values, k):
    """How many of others [users, items] are at least as high as each of values [users, n]; k or more if it is k."""
    if xp is np and values.shape[1] <= 16:  # as long as that is faster than to partition whole rows
        return np.stack([(others >= values[:, [i]]).sum(1) for i in range(values.shape[1])], axis=1)
    best = _largest(xp, others, min(k, others.shape[1]))
    return (best[:, None, :] >= values[:, :, None]).sum(2)


def full_ranks(scores, heldout, k):
    """The ranks of each user's held-out items, best first: integers [users, n]; k or more for those not within k.

    scores: [users, items], training positives masked. heldout: as FullRankingMetrics.update takes it.
    """
    xp = _namespace(scores)
    heldout = _heldout_rows(xp, scores, heldout)
    scores = _at_least_float32(xp, scores)
    rows = xp.arange(len(scores)).reshape(-1, 1)
    if xp.__name__ == "torch":
        rows = rows.to(scores.device)
    is_item = heldout >= 0
    items = xp.where(is_item, heldout, xp.where(heldout[:, :1] >= 0, heldout[:, :1], 0))  # pads repeat an item
    usable = xp.where(xp.isnan(scores), -math.inf, scores)
    values = xp.where(is_item, usable[rows, items], -math.inf)
    values = _largest(xp, values, min(k, values.shape[1]))  # at most k of them can be within k
    if xp.__name__.startswith("jax"):
        usable = usable.at[rows, items].set(-math.inf)
    else:
        usable[rows, items] = -math.inf
    before = xp.arange(values.shape[1])
    if xp.__name__ == "torch":
        before = before.to(scores.device)
    return xp.where(values > -math.inf, _count_ahead(xp, usable, values, k) + before, k)


class FullRankingMetrics:
    """Collects the metrics of full ranking, block by block of users, on the device of the scores.

    k: one number, or several for several results at once.
    """

    def __init__(self, k=TOP_K):
        self._single, self._ks = _cutoffs(k)
        self._totals = None

    def update(self, scores, heldout):
        """Adds a block of users.

        scores:  [users, items] with training positives masked: floats of NumPy, PyTorch or JAX.
        heldout: integers [users], one item a user; or [users, n], -1 where a user has fewer than n; or a tuple
                 (offsets, items), where user i's are items[offsets[i]:offsets[i + 1]]. Users without any do not count.
        """
        xp = _namespace(scores)
        heldout = _heldout_rows(xp, scores, heldout)
        ranks = full_ranks(scores, heldout, max(self._ks)) + 0.0
        counts = (heldout >= 0).sum(1)
        sums = [metric.sum() for k in self._ks for metric in self._metrics_at(xp, ranks, counts, k)]
        totals = xp.stack([value * xp.ones_like(ranks.sum()) for value in (*sums, (counts > 0).sum())])
        self._totals = totals if self._totals is None else self._totals + totals

    @staticmethod
    def _metrics_at(xp, ranks, counts, k):
        """The metrics of each user, in the order of FullMetrics; 0 for users without held-out items."""
        within = ranks < k
        zero = xp.zeros_like(ranks)
        first = within[:, 0]
        counts = xp.where(counts > 0, counts, 1)
        reachable = xp.where(counts < k, counts, k)
        gains = math.log(2.0) / xp.log(ranks + 2.0)
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
        ideal = xp.as_tensor(ideal, device=ranks.device) if xp.__name__ == "torch" else xp.asarray(ideal)
        numbers = xp.cumsum(zero + 1.0, 1)  # 1 for the best held-out item, 2 for the next
        hits = within.sum(1)
        return (
            first,
            hits / counts,
            hits / k,
            xp.where(within, gains, zero).sum(1) / ideal[reachable - 1],
            xp.where(first, 1.0 / (ranks[:, 0] + 1.0), zero[:, 0]),
            xp.where(within, numbers / (ranks + 1.0), zero).sum(1) / reachable,
        )

    @property
    def totals(self):
        """Sums of each metric for each k, and the number of users: floats of the scores' kind; None before update().
        Add up those of all ranks, and give the sum to result()."""
        return self._totals

    def result(self, totals=None):
        """The FullMetrics, or a dict of them by k when several were asked for."""
        totals = self._totals if totals is None else totals
        values = [0.0] * (_FULL_COUNT * len(self._ks) + 1) if totals is None else [float(value) for value in totals]
        users = max(values[-1], 1.0)
        means = [value / users for value in values[:-1]]
        found = {
            k: FullMetrics(*means[i * _FULL_COUNT : (i + 1) * _FULL_COUNT], int(values[-1]))
            for i, k in enumerate(self._ks)
        }
        return found[self._ks[0]] if self._single else found


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

"""Hit rate and NDCG against a naive reference, with ties, duplicates, padding and NaN scores."""

import math

import numpy as np
import pytest
from negpipe import errors, metrics


def oracle(scores, mask, k, num_neg, match_mlperf):
    """Follows the definition, item by item."""
    hits, gain, rows = 0, 0.0, 0
    for row, duplicates in zip(scores.reshape(-1, num_neg + 1), mask.reshape(-1, num_neg + 1)):
        if sum(duplicates) == num_neg:
            continue
        rows += 1
        better = 0
        for score, duplicate in zip(row[1:], duplicates[1:]):
            value = -math.inf if match_mlperf and duplicate else score
            better += math.isnan(row[0]) or (not math.isnan(value) and value >= row[0])
        if better < k:
            hits += 1
            gain += 1 / math.log2(better + 2)
    return metrics.Metrics(hits / rows if rows else 0.0, gain / rows if rows else 0.0, rows)


def random_rows(seed, rows=200, num_neg=30, levels=12):
    """Returns scores with many ties, masks of the format, padding rows, and some NaN."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (rows, num_neg + 1)).astype(np.float32)
    mask = (generator.random((rows, num_neg + 1)) < 0.2).astype(np.int8)
    mask[:, 0] = 0
    mask[::7, 1:] = 1
    scores[3, 0] = np.nan
    scores[5, 4] = np.nan
    return scores, mask


def tensorflow_metrics(scores, mask, k, num_neg, match_mlperf):
    in_top_k, ndcg, weights, _ = metrics.compute_top_k_and_ndcg(scores, mask, match_mlperf, k, num_neg)
    weights = weights.numpy()
    rows = int(weights.sum())
    return metrics.Metrics(
        float(in_top_k.numpy()[weights].sum() / max(rows, 1)), float(ndcg.numpy()[weights].sum() / max(rows, 1)), rows
    )


def torch_metrics(scores, mask, *options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    return metrics.hit_rate_and_ndcg(torch.from_numpy(scores), torch.from_numpy(mask).bool(), *options)


def jax_metrics(scores, mask, *options):
    jax = pytest.importorskip("jax.numpy")
    return metrics.hit_rate_and_ndcg(jax.asarray(scores), jax.asarray(mask), *options)


FRAMEWORKS = {"numpy": metrics.hit_rate_and_ndcg, "tensorflow": tensorflow_metrics, "torch": torch_metrics,
              "jax": jax_metrics}


@pytest.mark.parametrize("compute", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize("match_mlperf", [False, True])
@pytest.mark.parametrize("k", [1, 10, 31])
@pytest.mark.parametrize("seed", [1, 2])
def test_against_the_reference(compute, match_mlperf, k, seed):
    scores, mask = random_rows(seed)
    wanted = oracle(scores, mask, k, 30, match_mlperf)
    found = compute(scores, mask, k, 30, match_mlperf)
    assert found.row_count == wanted.row_count == 171
    assert found.hit_rate == pytest.approx(wanted.hit_rate, abs=1e-6)
    assert found.ndcg == pytest.approx(wanted.ndcg, abs=1e-6)


def test_the_reference_distinguishes_the_conventions():
    scores, mask = random_rows(1)
    assert oracle(scores, mask, 10, 30, False) != oracle(scores, mask, 10, 30, True)
    assert oracle(scores, mask, 10, 30, False) != oracle(scores, np.zeros_like(mask), 10, 30, False)


@pytest.mark.parametrize("compute", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize(
    ("scores", "mask", "wanted"),
    [
        ([5, 1, 2, 3], [0, 0, 0, 0], (1.0, 1.0, 1)),
        ([2, 1, 2, 3], [0, 0, 0, 0], (0.0, 0.0, 1)),  # one better, one equal: rank 2
        ([3, 1, 2, 3], [0, 0, 0, 0], (1.0, 1 / math.log2(3), 1)),  # a tie counts as worse
        ([1, 1, 1, 1], [0, 0, 0, 0], (0.0, 0.0, 1)),  # a constant model hits nothing
        ([0, 9, 9, 9], [0, 1, 1, 1], (0.0, 0.0, 0)),  # padding
        ([math.nan, 1, 2, 3], [0, 0, 0, 0], (0.0, 0.0, 1)),
        ([1, math.nan, math.nan, math.nan], [0, 0, 0, 0], (1.0, 1.0, 1)),
    ],
)
def test_single_rows(compute, scores, mask, wanted):
    found = compute(np.float32(scores), np.int8(mask), 2, 3, False)
    assert (found.hit_rate, found.row_count) == (wanted[0], wanted[2])
    assert found.ndcg == pytest.approx(wanted[1], abs=1e-6)


def test_mlperf_ignores_duplicates():
    scores, mask = np.float64([2, 3, 3, 3]), [0, 0, 1, 1]
    assert metrics.hit_rate_and_ndcg(scores, mask, 2, 3).hit_rate == 0
    assert metrics.hit_rate_and_ndcg(scores, mask, 2, 3, match_mlperf=True).hit_rate == 1


def test_batches_add_up():
    scores, mask = random_rows(3)
    collected = metrics.RankingMetrics(10, 30)
    for begin in range(0, 200, 40):
        collected.update(scores[begin : begin + 40].ravel(), mask[begin : begin + 40].ravel())
    whole = metrics.hit_rate_and_ndcg(scores, mask, 10, 30)
    found = collected.result()
    assert (found.hit_rate, found.row_count) == (whole.hit_rate, whole.row_count)
    assert found.ndcg == pytest.approx(whole.ndcg, abs=1e-12)


@pytest.mark.parametrize("compute", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize("match_mlperf", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_integer_scores_do_not_overflow(compute, match_mlperf, dtype):
    if compute is jax_metrics and dtype is np.int64:
        pytest.skip("JAX narrows int64 itself unless jax_enable_x64 is set")
    # No integer is lower than the positive's score. (Doubles represent whole numbers up to 2^53.)
    least, most = max(np.iinfo(dtype).min, -(2**52)), np.iinfo(dtype).max
    scores = np.array([least + 1, most, least, least], dtype)
    found = compute(scores, np.int8([0, 1, 0, 0]), 1, 3, match_mlperf)
    assert found.hit_rate == (1 if match_mlperf else 0)


def test_rows_of_another_length_are_refused():
    mask = np.zeros((6, 100))
    for scores in (np.zeros((10, 100)), np.zeros((10, 1000)), np.zeros(150)):
        with pytest.raises(errors.OptionError, match=r"num_neg \+ 1 = 10 values.*`num_neg`"):
            metrics.RankingMetrics(num_neg=9).update(scores, mask)
    with pytest.raises(ValueError, match="duplicate_mask"):
        metrics.RankingMetrics(num_neg=9).update(np.zeros((60, 10)), mask)
    column = metrics.RankingMetrics(num_neg=9)
    column.update(np.zeros((600, 1)), np.zeros(600))  # a model's output
    assert column.result().row_count == 60


def test_no_rows():
    assert metrics.RankingMetrics().result() == metrics.Metrics(0.0, 0.0, 0)
    for wrong, failure in ((0, errors.OptionError), (-1, errors.OptionError), (9.0, TypeError), ("9", TypeError)):
        with pytest.raises(failure, match="`num_neg`: .* given; expected"):
            metrics.RankingMetrics(num_neg=wrong)


@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_several_k_and_several_batches_agree_with_one_at_a_time(framework):
    compute = FRAMEWORKS[framework]
    scores, mask = random_rows(4)
    together = compute(scores, mask, (1, 5, 10), 30, True)
    assert list(together) == [1, 5, 10]
    for k, found in together.items():
        alone = oracle(scores, mask, k, 30, True)
        assert (found.hit_rate, found.ndcg) == pytest.approx((alone.hit_rate, alone.ndcg), abs=1e-6)


def test_totals_of_ranks_add_up_to_those_of_all_rows():
    scores, mask = random_rows(5)
    parts = [metrics.RankingMetrics((1, 10), 30) for _ in range(2)]
    for part, rows in zip(parts, (slice(0, 60), slice(60, None))):
        part.update(scores[rows], mask[rows])
    whole = metrics.RankingMetrics((1, 10), 30)
    whole.update(scores, mask)
    summed = metrics.RankingMetrics((1, 10), 30).result(parts[0].totals + parts[1].totals)
    assert summed[1].row_count == whole.result()[1].row_count
    assert summed[10].ndcg == pytest.approx(whole.result()[10].ndcg)


def test_tensors_stay_on_their_device():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    rank, counts = metrics.ranks(torch.tensor([3, 1, 4, 1]), torch.zeros(4, dtype=torch.bool), 3)
    assert isinstance(rank, torch.Tensor) and rank.tolist() == [1] and counts.tolist() == [True]

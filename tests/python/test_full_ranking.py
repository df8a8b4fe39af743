"""Full ranking: masked positives, and metrics against a naive reference, in NumPy, PyTorch and JAX."""

import dataclasses
import math

import negpipe
import numpy as np
import pytest
from negpipe import errors, masking, metrics


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=100, interactions=1500, seed=3)


def masked_by_hand(data, scores, users):
    expected = scores.copy()
    for row, user in enumerate(users):
        expected[row, data.positives_of(user)] = -np.inf
    return expected


# ---- masking


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("users", [[3], [7, 0, 7, 49], []])
def test_numpy_scores_are_masked_in_place(data, dtype, users):
    scores = np.ones((len(users), 100), dtype)
    expected = masked_by_hand(data, scores, users)
    assert data.mask_positives_(scores, np.array(users, np.int64)) is scores
    assert np.array_equal(scores, expected)


def test_views_of_any_strides_are_masked_and_nothing_around_them(data):
    memory = np.ones((240, 12), np.float32)
    scores = memory[20:220:2, 8:2:-2].T  # 3 users, 100 items
    expected = masked_by_hand(data, scores, [1, 2, 3])
    data.mask_positives_(scores, [1, 2, 3])
    assert np.array_equal(scores, expected)
    assert np.isinf(memory).sum() == np.isinf(expected).sum()


def test_bfloat16_of_ml_dtypes_is_masked(data):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    scores = np.ones((2, 100), ml_dtypes.bfloat16)
    data.mask_positives_(scores, [5, 6])
    assert np.array_equal(scores.astype(np.float32), masked_by_hand(data, np.ones((2, 100), np.float32), [5, 6]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_torch_scores_are_masked_in_place(data, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    users = torch.tensor([4, 9, 4])
    expected = masked_by_hand(data, np.ones((3, 100)), users.tolist())
    scores = torch.ones((5, 120), dtype=getattr(torch, dtype))
    view = scores[1:4, 10:110]
    assert data.mask_positives_(view, users) is view
    assert np.array_equal(view.double().numpy(), expected)
    assert scores.isinf().sum() == np.isinf(expected).sum()


def test_other_devices_of_torch_give_the_same(data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    scores = torch.ones((3, 200))[:, ::2]
    masking._mask_indexed(data, scores, np.array([4, 9, 4], np.int32))  # what tensors on devices take
    assert np.array_equal(scores.numpy(), masked_by_hand(data, np.ones((3, 100), np.float32), [4, 9, 4]))


def test_negated_views_of_torch_get_minus_infinity(data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    scores = torch.ones((2, 100), dtype=torch.complex64).conj().imag
    assert scores.is_neg()
    data.mask_positives_(scores, [4, 9])
    assert np.array_equal(scores.resolve_neg().numpy(), masked_by_hand(data, np.zeros((2, 100), np.float32), [4, 9]))


def test_torch_tensors_whose_rows_are_not_separate_memory_are_refused(data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    scores = torch.ones(100)
    with pytest.raises(errors.OptionError, match="share memory"):
        data.mask_positives_(scores.expand(2, 100), [0, 1])
    with pytest.raises(errors.OptionError, match="expected a dense tensor"):
        data.mask_positives_(torch.ones((2, 100)).to_sparse(), [0, 1])
    assert (scores == 1).all()


def test_scores_with_gradients_are_refused(data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    with pytest.raises(errors.OptionError, match="torch.no_grad"):
        data.mask_positives_(torch.ones((1, 100), requires_grad=True), [0])


@pytest.mark.parametrize("users", [[3], [7, 0, 7, 49], []])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_jax_scores_are_copied(data, users, dtype):
    jnp = pytest.importorskip("jax.numpy")
    import negpipe.jax

    scores = jnp.ones((len(users), 100), dtype)
    masked = negpipe.jax.mask_positives(data, scores, users)
    assert masked.dtype == scores.dtype and not jnp.isinf(scores).any()
    assert np.array_equal(
        np.asarray(masked, np.float32), masked_by_hand(data, np.ones((len(users), 100), np.float32), users)
    )
    with pytest.raises(TypeError, match="negpipe.jax.mask_positives"):
        data.mask_positives_(scores, users)


@pytest.mark.parametrize(
    ("scores", "users", "error", "message"),
    [
        (np.ones((2, 99)), [0, 1], errors.OptionError, r"\[2, 99\]; expected \[2, 100\]"),
        (np.ones((3, 100)), [0, 1], errors.OptionError, r"\[3, 100\]; expected \[2, 100\]"),
        (np.ones(100), [0], errors.OptionError, r"\[100\]; expected \[1, 100\]"),
        (np.ones((1, 100), int), [0], errors.OptionError, "int64; expected float16"),
        (np.ones((1, 100)), [0.0], errors.OptionError, "float64 .*expected integers"),
        (np.ones((1, 100)), [50], errors.OutOfRangeError, r"value 0 is 50; expected a user in \[0, 50\)"),
        (np.ones((2, 100)), [3, -1], errors.OutOfRangeError, "value 1 is -1"),
        (np.broadcast_to(np.ones(100), (1, 100)), [0], errors.OptionError, "read-only"),
        (np.lib.stride_tricks.as_strided(np.ones(100), (2, 100), (0, 8)), [0, 1], errors.OptionError, "share memory"),
        (np.ones((1, 100), ">f4"), [0], errors.OptionError, ">f4; expected the byte order"),
        (np.ones((1, 100), np.longdouble), [0], errors.OptionError, "float128; expected float16"),
        ([[1.0] * 100], [0], TypeError, "is a list"),
    ],
)
def test_scores_and_users_that_do_not_fit_are_refused(data, scores, users, error, message):
    with pytest.raises(error, match=message):
        data.mask_positives_(scores, users)


@pytest.fixture(scope="module")
def split_data():
    """Users of whom some have no test item, some no validation item, some several: a split that is given."""
    pyarrow = pytest.importorskip("pyarrow")
    random = np.random.default_rng(7)
    pairs = random.permutation(30 * 50)[:500]
    users, items = pairs // 50, pairs % 50
    train, validation, test = (
        pyarrow.table({"user_id": users[part], "item_id": items[part]})
        for part in (slice(0, 400), slice(400, 450), slice(450, 500))
    )
    return negpipe.Dataset.from_arrow(train, validation=validation, test=test, min_ratings=1, unknown="drop")


@pytest.mark.parametrize("split", ["test", "validation"])
def test_held_out_items_of_a_block_of_users_are_given_as_metrics_take_them(split_data, split):
    users = [7, 0, 7, split_data.num_users - 1]
    offsets, items = split_data.heldout_of(users, split)
    all_offsets, all_items = ((split_data.test_offsets, split_data.test_items) if split == "test"
                              else (split_data.validation_offsets, split_data.validation_items))
    assert len(set(np.diff(all_offsets).tolist())) > 2, "some have none, some several"
    wanted = [all_items[all_offsets[user] : all_offsets[user + 1]] for user in users]
    assert offsets.dtype == np.int64 and items.dtype == np.int32
    assert [items[a:b].tolist() for a, b in zip(offsets, offsets[1:])] == [row.tolist() for row in wanted]
    offsets, items = split_data.heldout_of(np.zeros(0, int), split)
    assert offsets.tolist() == [0] and len(items) == 0


@pytest.mark.parametrize("also", ["validation", "test"])
@pytest.mark.parametrize("kind", ["numpy", "torch", "torch on a device", "jax"])
def test_a_held_out_set_is_masked_too_on_request(split_data, kind, also):
    users = np.array([7, 0, 7, split_data.num_users - 1], np.int32)
    plain = np.ones((4, split_data.num_items), np.float32)
    expected = masked_by_hand(split_data, plain, users)
    offsets, items = split_data.heldout_of(users, also)
    for row in range(4):
        expected[row, items[offsets[row] : offsets[row + 1]]] = -np.inf
    assert np.isinf(expected).sum() > np.isinf(masked_by_hand(split_data, plain, users)).sum()
    if kind == "numpy":
        found = split_data.mask_positives_(plain, users, also=also)
    elif kind == "jax":
        jnp = pytest.importorskip("jax.numpy")
        import negpipe.jax

        found = np.asarray(negpipe.jax.mask_positives(split_data, jnp.asarray(plain), users, also=also))
    else:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
        scores = torch.from_numpy(plain)
        mask = masking._mask_indexed if kind == "torch on a device" else masking.mask_positives_
        mask(split_data, scores, users, also)
        found = scores.numpy()
    assert np.array_equal(found, expected)


def test_sets_that_are_not_there_are_refused(data):
    scores = np.ones((1, 100))
    with pytest.raises(errors.OptionError, match="`also`: the dataset has no validation set"):
        data.mask_positives_(scores, [0], also="validation")
    for unknown in ("training", ""):
        with pytest.raises(errors.OptionError, match=f"`also`: '{unknown}' given; expected 'test' or 'validation'"):
            data.mask_positives_(scores, [0], also=unknown)
    with pytest.raises(errors.OptionError, match="`split`: the dataset has no validation set"):
        data.heldout_of([0], "validation")
    with pytest.raises(errors.OutOfRangeError, match="value 1 is 50"):
        data.heldout_of([0, 50])
    assert (scores == 1).all()


# ---- metrics


def oracle(scores, heldout, k):
    """Follows the definitions, user by user: sorts all items, those not held out first where scores are equal."""
    values = {field.name: [] for field in dataclasses.fields(metrics.FullMetrics)[:-1]}
    for row, items in zip(scores.tolist(), heldout):
        if not items:
            continue
        usable = [-math.inf if math.isnan(score) else score for score in row]
        order = sorted(range(len(row)), key=lambda item: (-usable[item], item in items))
        ranks = [rank for rank, item in enumerate(order[:k]) if item in items and usable[item] > -math.inf]
        values["hit_rate"].append(float(bool(ranks)))
        values["recall"].append(len(ranks) / len(items))
        values["precision"].append(len(ranks) / k)
        ideal = sum(1 / math.log2(rank + 2) for rank in range(min(k, len(items))))
        values["ndcg"].append(sum(1 / math.log2(rank + 2) for rank in ranks) / ideal)
        values["mrr"].append(1 / (ranks[0] + 1) if ranks else 0.0)
        hits = enumerate(ranks, start=1)
        values["map"].append(sum(number / (rank + 1) for number, rank in hits) / min(k, len(items)))
    count = len(values["mrr"])
    return metrics.FullMetrics(*(sum(found) / max(count, 1) for found in values.values()), count)


def random_block(seed, most, users=120, items=60, levels=15):
    """Returns scores with many ties, masked items and NaN, and between 0 and `most` held-out items a user."""
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (users, items)).astype(np.float32)
    scores[generator.random(scores.shape) < 0.2] = -np.inf
    scores[generator.random(scores.shape) < 0.05] = np.nan
    counts = generator.integers(0, most + 1, users) if most > 1 else np.ones(users, int)
    return scores, [generator.choice(items, count, replace=False).tolist() for count in counts]


def as_offsets(heldout):
    return np.cumsum([0, *map(len, heldout)]), np.array([item for items in heldout for item in items], np.int32)


def to_torch(array):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    return torch.from_numpy(array)


def to_jax(array):
    return pytest.importorskip("jax.numpy").asarray(array)


FRAMEWORKS = {"numpy": np.asarray, "torch": to_torch, "jax": to_jax}


def assert_equal(found, wanted):
    assert found.user_count == wanted.user_count
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(wanted), abs=1e-6)


@pytest.mark.parametrize("convert", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize("most", [1, 5, 40])
def test_metrics_equal_the_reference(convert, most):
    scores, heldout = random_block(most, most)
    found = metrics.FullRankingMetrics(k=(1, 5, 20, 60, 90))
    found.update(convert(scores), as_offsets(heldout))
    for k, means in found.result().items():
        assert_equal(means, oracle(scores, heldout, k))


@pytest.mark.parametrize("convert", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize(
    ("scores", "heldout", "wanted"),
    [
        ([5, 1, 2, 3], [0], (1, 1, 1 / 2, 1, 1, 1)),
        ([3, 1, 2, 3], [0], (1, 1, 1 / 2, 1 / math.log2(3), 1 / 2, 1 / 2)),  # a tie counts as worse
        ([1, 1, 1, 1], [0], (0, 0, 0, 0, 0, 0)),  # a constant model hits nothing
        ([1, 1, 1, -9], [0, 1, 2], (1, 2 / 3, 1, 1, 1, 1)),  # held-out items do not displace each other
        ([4, 3, 2, 1], [1, 3], (1, 1 / 2, 1 / 2, 1 / math.log2(3) / (1 + 1 / math.log2(3)), 1 / 2, 1 / 4)),
        ([math.nan, -9, -9, -9], [0], (0, 0, 0, 0, 0, 0)),
        ([1, math.nan, math.nan, math.nan], [0], (1, 1, 1 / 2, 1, 1, 1)),
        ([-math.inf, -math.inf, 5, 4], [0], (0, 0, 0, 0, 0, 0)),
    ],
)
def test_single_users(convert, scores, heldout, wanted):
    found = metrics.FullRankingMetrics(k=2)
    found.update(convert(np.array([scores], np.float32)), np.array([heldout]))
    assert_equal(found.result(), metrics.FullMetrics(*wanted, 1))
    assert_equal(oracle(np.array([scores]), [heldout], 2), metrics.FullMetrics(*wanted, 1))


@pytest.mark.parametrize("convert", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_every_type_of_scores_and_form_of_heldout_items_gives_the_same(convert, dtype):
    generator = np.random.default_rng(1)
    scores = generator.integers(-9, 9, (30, 40)).astype(dtype)
    heldout = [generator.choice(40, 2, replace=False).tolist() for _ in range(30)]
    wanted = oracle(scores.astype(float), heldout, 5)
    for form in (np.array(heldout), convert(np.array(heldout)), as_offsets(heldout)):
        found = metrics.FullRankingMetrics(k=5)
        found.update(convert(scores), form)
        assert_equal(found.result(), wanted)


def test_bfloat16_scores_are_exact():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
    scores, heldout = random_block(8, 4)
    found = metrics.FullRankingMetrics(k=5)
    found.update(torch.from_numpy(scores).bfloat16(), as_offsets(heldout))
    assert_equal(found.result(), oracle(scores, heldout, 5))


def test_blocks_add_up_and_scores_stay_as_they_are():
    scores, heldout = random_block(9, 3)
    before = scores.copy()
    whole, parts = metrics.FullRankingMetrics((1, 10)), [metrics.FullRankingMetrics((1, 10)) for _ in range(2)]
    whole.update(scores, as_offsets(heldout))
    for part, rows in zip(parts, (slice(0, 50), slice(50, None))):
        part.update(scores[rows], as_offsets(heldout[rows]))
    assert np.array_equal(scores, before, equal_nan=True)
    summed = whole.result(parts[0].totals + parts[1].totals)
    assert_equal(summed[10], whole.result()[10])


def test_no_users():
    assert metrics.FullRankingMetrics().result() == metrics.FullMetrics(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("scores", "heldout", "error"),
    [
        (np.ones((2, 9)), np.array([0]), errors.OptionError),
        (np.ones(9), np.array([0]), errors.OptionError),
        (np.ones((1, 9), int), np.array([0]), errors.OptionError),
        (np.ones((1, 9)), np.array([9]), errors.OutOfRangeError),
        (np.ones((1, 9)), (np.array([0, 2]), np.array([1])), errors.OptionError),
        (np.ones((2, 9)), (np.array([0, 2, 1]), np.array([1])), errors.OptionError),
    ],
)
def test_heldout_items_that_do_not_fit_are_refused(scores, heldout, error):
    with pytest.raises(error, match="heldout|scores. is int64"):
        metrics.FullRankingMetrics().update(scores, heldout)


@pytest.mark.parametrize("make", [metrics.FullRankingMetrics, metrics.RankingMetrics])
def test_k_is_one_positive_integer_or_several(make):
    for k in (0, (5, 0), (), -1, 2**70):
        with pytest.raises(errors.OptionError, match="`k`: .* given; expected"):
            make(k)
    for k in (1.5, "x", None, (5, 1.5)):
        with pytest.raises(TypeError, match="`k`: .* given; expected an integer"):
            make(k)
    assert make(np.int64(5)).result() == make(5).result()


def test_a_perfect_model_of_the_dataset_finds_every_heldout_item(data):
    users = np.arange(data.num_users)
    scores = np.zeros((data.num_users, data.num_items), np.float32)
    for user in users:
        scores[user, data.positives_of(user)] = 2  # it has learned the training data by heart
    scores[users, data.heldout_items] = 1
    found = {}
    for masked in (False, True):
        collected = metrics.FullRankingMetrics(k=1)
        collected.update(data.mask_positives_(scores.copy(), users) if masked else scores, data.heldout_items)
        found[masked] = collected.result()
    assert found[False].ndcg < 0.1
    assert found[True] == metrics.FullMetrics(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 50)

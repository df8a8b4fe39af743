"""NegativeSampler: shapes and kinds of arrays, splits, padding, distributions, and what it rejects."""

import os
import pickle
import threading

import numpy as np
import pytest

import negpipe
from negpipe import errors


@pytest.fixture(scope="module")
def data():
    """60 users with 5 to 34 positives each of 90 items."""
    generator = np.random.default_rng(3)
    rows = [generator.permutation(90)[: 6 + user % 30] for user in range(60)]
    users = np.repeat(np.arange(60), [len(row) for row in rows])
    made = negpipe.Dataset.from_arrays(users, np.concatenate(rows), min_ratings=1)
    assert (made.num_users, made.num_items) == (60, 90)
    return made


@pytest.fixture(scope="module")
def draw(data):
    return negpipe.NegativeSampler(data, seed=1)


def is_positive(data, users, items):
    """By sets."""
    pairs = {(user, item) for user in range(data.num_users) for item in data.positives_of(user).tolist()}
    users, items = np.broadcast_arrays(users, items)
    asked = zip(users.ravel().tolist(), items.ravel().tolist())
    return np.array([pair in pairs for pair in asked], bool).reshape(users.shape)


@pytest.mark.parametrize("shape", [(), (0,), (7,), (5, 4), (2, 3, 4)])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_shape_is_that_of_users_and_the_count(data, draw, shape, count):
    users = np.arange(np.prod(shape, dtype=int)).reshape(shape) % data.num_users
    items = draw.sample(users, count, at=3)
    assert items.shape == (*shape, count) and items.dtype == np.int32
    assert not is_positive(data, users[..., None], items).any()


def test_equal_arguments_draw_equal_items_and_others_do_not(data, draw):
    users = np.arange(60)
    items = draw.sample(users, 8, at=3)
    assert (items == draw.sample(users, 8, at=3)).all()
    assert (items == negpipe.NegativeSampler(data, seed=1, threads=2, bitset_budget=0).sample(users, 8, at=3)).all()
    for other in (draw.sample(users, 8, at=4), negpipe.NegativeSampler(data, seed=2).sample(users, 8, at=3)):
        assert (items == other).mean() < 0.1


@pytest.mark.parametrize("options", [{}, {"distinct": True}, {"exclude": [[3, -1]]}])
def test_a_split_batch_gives_the_whole_batch(draw, options):
    users = np.arange(600) % 60
    whole = draw.sample(users, 3, at=5, **options)
    parts = [draw.sample(users[a:b], 3, at=5, offset=a, **options) for a, b in [(0, 1), (1, 250), (250, 600)]]
    assert (np.concatenate(parts) == whole).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_users_are_integers_of_any_type_order_and_container(draw, dtype):
    users = np.arange(60).reshape(6, 10)
    wanted = draw.sample(users, 2)
    assert (draw.sample(users.astype(dtype), 2) == wanted).all()
    assert (draw.sample(np.asfortranarray(users.astype(dtype)), 2) == wanted).all()
    assert (draw.sample(users.tolist(), 2) == wanted).all()


def test_padding_users_get_minus_1_and_move_nobody_else(draw):
    users = np.arange(20)
    padded = np.where(users % 3 == 0, -1 - users, users)
    items = draw.sample(padded, 2)
    assert (items[padded < 0] == -1).all()
    assert (items[padded >= 0] == draw.sample(users, 2)[padded >= 0]).all()
    assert not draw.contains(padded, 5)[padded < 0].any()


def test_distinct_rows_have_no_repeats(draw):
    items = draw.sample(np.arange(60), 30, distinct=True)
    assert all(len(set(row)) == 30 for row in items.tolist())


def test_excluded_items_broadcast(data, draw):
    users = np.arange(60).reshape(6, 10)
    common = np.arange(0, 90, 2)
    assert (draw.sample(users, 4, exclude=common) % 2 == 1).all()
    own = data.heldout_items.reshape(6, 10, 1)
    plain, items = draw.sample(users, 4), draw.sample(users, 4, exclude=own)
    assert not (items == own).any()
    assert ((items == plain) == (plain != own)).all()


def test_shared_items_are_one_row_for_all(data, draw):
    items = draw.sample(np.arange(60), 50, shared=True)
    assert items.shape == (50,)
    assert (items == draw.sample(None, 50, shared=True)).all()
    assert len(set(draw.sample(None, 90, shared=True, distinct=True).tolist())) == 90
    for users, options in ((None, {"shared": True}), ([0], {})):
        with pytest.raises(errors.InfeasibleError, match="4294967295 distinct negatives wanted.*only"):
            draw.sample(users, 2**32 - 1, distinct=True, **options)
    mask = draw.contains(np.arange(60)[:, None], items)
    assert mask.dtype == bool and (mask == is_positive(data, np.arange(60)[:, None], items)).all()
    assert not np.isin(draw.sample(None, 80, shared=True, exclude=[4, 5]), [4, 5]).any()


def test_contains_broadcasts(data, draw):
    users, items = np.arange(-1, 60), np.arange(-1, 90)
    every = draw.contains(users[:, None], items[None, :])
    assert (every == is_positive(data, users[:, None], items[None, :])).all()
    assert (draw.contains(users[:, None], items)[3, 4]) == draw.contains(2, 3)
    assert (draw.contains(items[None, :61], users[:, None][:1]) == draw.contains(items[:61], -1)).all()
    assert draw.contains([], []).shape == (0,)
    assert (draw.contains(users[::-2, None], items[::3]) == every[::-2, ::3]).all()


def test_masks_are_tiles_of_the_in_batch_mask(draw):
    users, items = np.arange(50), np.arange(50, 90)
    parts = list(draw.masks(users, items, rows=16))
    assert [(part.start, part.stop) for part, _ in parts] == [(0, 16), (16, 32), (32, 48), (48, 50)]
    assert (np.concatenate([mask for _, mask in parts]) == draw.contains(users[:, None], items)).all()


def test_uniform_log_q_is_of_the_items_left(data, draw):
    users = np.arange(60)
    left = 90 - np.diff(data.user_offsets)
    np.testing.assert_allclose(draw.log_q(users, 0), -np.log(left), rtol=1e-6)
    np.testing.assert_allclose(draw.log_q(None, [1, 2]), -np.log(90), rtol=1e-6)
    assert draw.log_q(users[:, None], np.arange(90)).shape == (60, 90)


def test_weighted_log_q_is_of_the_weight_left(data):
    weights = np.arange(90)
    draw = negpipe.NegativeSampler(data, seed=1, weights=weights)
    left = np.array([weights.sum() - weights[data.positives_of(user)].sum() for user in range(60)])
    with np.errstate(divide="ignore"):
        wanted = np.log(weights) - np.log(left)[:, None]
    found = draw.log_q(np.arange(60)[:, None], np.arange(90))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found.dtype == np.float32 and found[0, 0] == -np.inf


def popularity_by_numpy(counts, alpha):
    """The documented operations: NumPy rounds each correctly too."""
    root, result, rest = counts.astype(float), np.ones(len(counts)), alpha
    while rest >= 1:
        result, rest = result * counts, rest - 1
    while rest:
        root, rest = np.sqrt(root), rest * 2
        if rest >= 1:
            result, rest = result * root, rest - 1
    total = 0.0
    for value in result.tolist():
        total += value
    weights = (result * ((2**32 - 1 - 2 * len(counts)) / total)).astype(np.uint32)
    return np.where(counts == 0, 0, np.maximum(weights, 1))


@pytest.mark.parametrize("alpha", [0.5, 0.75, 0.3, 2.6])
def test_popularity_weights_are_those_of_correctly_rounded_operations(data, alpha):
    draw = negpipe.NegativeSampler(data, distribution="popularity", alpha=alpha)
    wanted = popularity_by_numpy(data.item_counts(), alpha)
    assert draw.weights.dtype == np.uint32 and (draw.weights == wanted).all()
    same = negpipe.NegativeSampler(data, weights=wanted)
    assert same.weights_digest == draw.weights_digest
    assert (same.sample(np.arange(60), 9) == draw.sample(np.arange(60), 9)).all()


def test_popularity_draws_popular_items_more_often(data):
    users = np.zeros(20_000, int)
    items = negpipe.NegativeSampler(data, distribution="popularity", alpha=1).sample(users, 1, distinct=False).ravel()
    counts = data.item_counts()
    outside = np.setdiff1d(np.arange(90), data.positives_of(0))
    expected = counts[outside] / counts[outside].sum() * len(items)
    drawn = np.bincount(items, minlength=90)
    assert drawn[data.positives_of(0)].sum() == 0
    cells = expected > 0
    statistic = ((drawn[outside] - expected)[cells] ** 2 / expected[cells]).sum()
    assert statistic < cells.sum() + 6 * np.sqrt(2 * cells.sum())  # about 1e-8 for a perfect sampler


def test_torch_tensors_come_back_as_torch_tensors(draw):
    torch = pytest.importorskip("torch")
    users = torch.arange(60).reshape(6, 10)
    items = draw.sample(users, 2, at=torch.tensor(4))
    assert items.dtype == torch.int32 and items.shape == (6, 10, 2)
    assert (items.numpy() == draw.sample(users.numpy(), 2, at=4)).all()
    mask = draw.contains(users[..., None], items)
    assert mask.dtype == torch.bool and not mask.any()
    assert draw.log_q(users[..., None], items).dtype == torch.float32
    assert draw.sample(users, 3, shared=True).shape == (3,)
    assert isinstance(next(draw.masks(users[0], items[0, 0]))[1], torch.Tensor)


def test_jax_arrays_come_back_as_jax_arrays(draw):
    jax = pytest.importorskip("jax")
    users = jax.numpy.arange(60).reshape(6, 10)
    items = draw.sample(users, 2)
    assert isinstance(items, jax.Array) and items.dtype == np.int32
    assert (np.asarray(items) == draw.sample(np.asarray(users), 2)).all()
    assert isinstance(draw.contains(users[..., None], items), jax.Array)


def test_threads_share_a_sampler(data):
    draw = negpipe.NegativeSampler(data, seed=1, threads=2)
    users = np.arange(30_000) % 60
    wanted, found = draw.sample(users, 2), [None] * 3

    def work(i):
        found[i] = draw.sample(users, 2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((items == wanted).all() for items in found)


def test_a_forked_process_draws_the_same(data):
    draw = negpipe.NegativeSampler(data, seed=1, threads=2)
    wanted = draw.sample(np.arange(60), 2).tobytes()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, draw.sample(np.arange(60), 2).tobytes())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == wanted
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("options", [{}, {"distribution": "popularity"}, {"weights": np.arange(90)}])
def test_pickles_draw_the_same(data, options):
    draw = negpipe.NegativeSampler(data, seed=5, **options)
    copy = pickle.loads(pickle.dumps(draw))
    assert (copy.sample(np.arange(60), 3) == draw.sample(np.arange(60), 3)).all()
    assert "seed=5" in repr(copy)


@pytest.mark.parametrize(
    "error, call",
    [
        (errors.OutOfRangeError, lambda draw: draw.sample([3, 60])),
        (errors.OutOfRangeError, lambda draw: draw.sample(np.array([2**63], np.uint64))),
        (errors.OutOfRangeError, lambda draw: draw.sample([1], exclude=[90])),
        (errors.OutOfRangeError, lambda draw: draw.contains(60, 0)),
        (errors.OutOfRangeError, lambda draw: draw.contains(0, 90)),
        (errors.OptionError, lambda draw: draw.sample([0.5])),
        (errors.OptionError, lambda draw: draw.sample([True])),
        (errors.OptionError, lambda draw: draw.sample([1], -1)),
        (errors.OptionError, lambda draw: draw.sample([1], at=2**32)),
        (errors.OptionError, lambda draw: draw.sample([1, 2], exclude=[[1], [2], [3]])),
        (errors.InfeasibleError, lambda draw: draw.sample([1], 90, distinct=True)),
        (errors.InfeasibleError, lambda draw: draw.sample([1], 1, exclude=np.arange(90))),
    ],
)
def test_wrong_arguments_are_rejected(draw, error, call):
    with pytest.raises(error):
        call(draw)


@pytest.mark.parametrize(
    "options",
    [
        {"distribution": "zipf"},
        {"alpha": 1},
        {"distribution": "popularity", "alpha": -1},
        {"distribution": "popularity", "weights": [1] * 90},
        {"weights": [1] * 89},
        {"weights": [-1] + [1] * 89},
        {"weights": [2**32 - 1] * 90},
        {"weights": [0.5] * 90},
        {"weights": [0] * 90},
    ],
)
def test_wrong_distributions_are_rejected(data, options):
    with pytest.raises(errors.OptionError):
        negpipe.NegativeSampler(data, **options)


@pytest.mark.parametrize(
    "field, call",
    [
        ("users", lambda draw: draw.sample(None)),
        ("users", lambda draw: draw.sample(np.array([2**63], np.uint64))),
        ("exclude", lambda draw: draw.sample([1], exclude=[0.5])),
        ("weights", lambda draw: negpipe.NegativeSampler(draw.dataset, weights=np.full(90, 2**63, np.uint64))),
        ("bitset_budget", lambda draw: negpipe.NegativeSampler(draw.dataset, bitset_budget=-1)),
        ("num_negatives", lambda draw: draw.sample([1], 1.5)),
        ("alpha", lambda draw: negpipe.NegativeSampler(draw.dataset, distribution="popularity", alpha="x")),
        ("items", lambda draw: draw.contains([1, 2], [1, 2, 3])),
        ("items", lambda draw: draw.log_q([1, 2], [1, 2, 3])),
        ("users", lambda draw: next(draw.masks([[1, 2]], [3]))),
        ("items", lambda draw: next(draw.masks([1, 2], 3))),
    ],
)
def test_messages_name_the_field(draw, field, call):
    with pytest.raises((errors.OptionError, errors.OutOfRangeError, TypeError), match=f"`{field}`"):
        call(draw)


def test_an_array_that_exceeds_memory_is_refused_with_its_size(draw):
    users = np.zeros(2**16, int)
    with pytest.raises(MemoryError, match=r"`num_negatives`: 4294967295 given.*1,125,899,906,580,480 bytes"):
        draw.sample(users, 2**32 - 1)


def test_weights_are_counted_against_the_items(data):
    with pytest.raises(errors.OptionError, match="^weights: 0 weights given; expected 90, one per item"):
        negpipe.NegativeSampler(data, weights=[])


def test_messages_say_which_items_are_left(data):
    weighted = negpipe.NegativeSampler(data, weights=[0] + [1] * 89)
    with pytest.raises(errors.InfeasibleError, match="only 89 distinct items of positive weight; .*Draw fewer$"):
        weighted.sample(None, 90, distinct=True, shared=True)
    with pytest.raises(errors.InfeasibleError, match="only 88 distinct items of positive weight outside the excluded"):
        weighted.sample(None, 90, distinct=True, shared=True, exclude=[5])


def test_users_whose_other_items_weigh_0_are_named(data):
    weights = np.zeros(90, int)
    weights[data.positives_of(17)[0]] = 1
    with pytest.raises(errors.InfeasibleError, match="have no negative|has no negative"):
        negpipe.NegativeSampler(data, weights=weights)


@pytest.mark.parametrize("layout", ["pointwise", "pairwise"])
@pytest.mark.parametrize("options", [{"distribution": "popularity", "alpha": 0.5}, {"weights": np.arange(1, 91)}])
def test_train_loader_draws_by_weight(data, layout, options):
    draw = negpipe.NegativeSampler(data, **options)
    outside = ~draw.contains(np.arange(60)[:, None], np.arange(90))
    chances = np.where(outside, np.exp(draw.log_q(np.arange(60)[:, None], np.arange(90))), 0)
    loader = negpipe.TrainLoader(data, 1000, num_negatives=6, seed=1, padding="drop", layout=layout, **options)
    copy = pickle.loads(pickle.dumps(loader))
    drawn, expected = np.zeros(90), np.zeros(90)
    for epoch in range(3):
        for (users, items, last), again in zip(loader.epoch(epoch), copy.epoch(epoch)):
            assert (items == again[1]).all() and (last == again[2]).all()
            users, negatives = (users[last == 0], items[last == 0]) if layout == "pointwise" else (users[:, None], last)
            assert outside[users, negatives].all()
            drawn += np.bincount(negatives.ravel(), minlength=90)
            expected += chances[np.broadcast_to(users, negatives.shape)].reshape(-1, 90).sum(0)
    assert ((drawn - expected) ** 2 / np.maximum(expected, 1e-9)).sum() < 90 + 6 * np.sqrt(180)
    state = loader.state_dict()
    copy.load_state_dict(state)
    with pytest.raises(errors.StateMismatchError, match="weights"):
        negpipe.TrainLoader(data, 1000, num_negatives=6, seed=1, padding="drop", layout=layout).load_state_dict(state)


# What NegativeSampler gives a CUDA kernel; the kernels themselves: tests/cuda/test_python_negatives.py.
@pytest.mark.parametrize(
    "shapes",
    [
        ((6, 1), (9,)),
        ((6, 1), (1, 9)),
        ((6, 1), (6, 9)),
        ((9,), (9,)),
        ((2, 3, 1), (9,)),
        ((), (4,)),
        ((), ()),
        ((0, 1), (9,)),
    ],
)
def test_rows_of_a_lookup_on_a_device_are_those_of_broadcasting(shapes):
    torch = pytest.importorskip("torch")
    from negpipe import _torch_negatives

    given = [torch.arange(max(1, int(np.prod(shape))))[: int(np.prod(shape))].reshape(shape) for shape in shapes]
    users, items, shape, each = _torch_negatives._lookup(*given)
    assert users.is_contiguous() and items.is_contiguous()
    wanted = torch.broadcast_tensors(*given)
    assert shape == wanted[0].shape
    count = int(np.prod(shape))
    columns = items.numel() if each else items.numel() // max(1, users.numel())
    assert users.numel() * columns == count
    cell = torch.arange(count)
    assert torch.equal(users.reshape(-1)[cell // max(1, columns)], wanted[0].reshape(-1))
    assert torch.equal(items.reshape(-1)[cell % max(1, columns) if each else cell], wanted[1].reshape(-1))


def test_excluded_items_for_a_device_broadcast_and_stay_unknown():
    torch = pytest.importorskip("torch")
    from negpipe import _torch_negatives

    items = torch.tensor([[3], [2**40], [-(2**40)]])
    rows = _torch_negatives._excluded_rows(items, (2, 3), 90)
    assert rows.dtype == torch.int32 and rows.tolist() == [[[3], [90], [-1]]] * 2
    with pytest.raises(errors.OptionError, match="broadcasts"):
        _torch_negatives._excluded_rows(items, (4,), 90)


def test_the_device_is_auto_or_cpu_and_is_pickled(data):
    draw = pickle.loads(pickle.dumps(negpipe.NegativeSampler(data, device="cpu")))
    assert draw.device == "cpu"
    draw.check()
    with pytest.raises(errors.OptionError, match="device"):
        negpipe.NegativeSampler(data, device="cuda")

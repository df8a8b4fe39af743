"""TrainLoader and EvalLoader: the bytes of `negpipe generate`, access, memory, refusals."""

import gc
import json
import pickle
import re

import numpy as np
import pytest
from batches import BATCH_SIZE, assert_equal, copied, joined
from batches import data as data, loader as loader

import negpipe
from negpipe import _native, errors, records
from negpipe.loader import EpochIterator

# ---- the bytes


@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_training_batches_equal_those_of_the_program(data, padding, tmp_path):
    from program import negpipe as program

    data.save(tmp_path / "dataset")
    options = ["--cycles", 2, "--seed", 42, "--batch-size", BATCH_SIZE, "--padding", padding, "--num-neg", 3]
    program("generate", tmp_path / "dataset", "--out", tmp_path / "run", "--no-eval", *options)
    loader = negpipe.TrainLoader(
        data, BATCH_SIZE, seed=42, num_negatives=3, padding=padding, item_dtype="uint16", label_dtype="int8"
    )
    for cycle in range(2):
        folder = tmp_path / f"run/training_epochs/cycle_{cycle:05}"
        written = list(records.RecordFolder(folder).batches())
        assert len(written) == len(loader) == json.loads((folder / "ready.json").read_text())["batch_count"]
        for made, wanted in zip(loader.epoch(cycle), written):
            assert len(made) == (4 if padding == "mask" else 3)
            for column, name in zip(made, ("user_id", "item_id", "labels", "valid_point_mask")):
                assert column.tobytes() == np.asarray(wanted[name]).tobytes(), name


@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_pairwise_batches_equal_those_of_the_program(data, padding, tmp_path):
    from program import negpipe as program

    data.save(tmp_path / "dataset")
    options = ["--seed", 42, "--batch-size", BATCH_SIZE, "--padding", padding, "--num-neg", 7, "--layout", "pairwise"]
    program("generate", tmp_path / "dataset", "--out", tmp_path / "run", "--no-eval", *options)
    loader = negpipe.TrainLoader(
        data,
        BATCH_SIZE,
        seed=42,
        num_negatives=7,
        padding=padding,
        layout="pairwise",
        item_dtype="uint16",
        as_dict=True,
    )
    written = list(records.RecordFolder(tmp_path / "run/training_epochs/cycle_00000").batches())
    assert len(written) == len(loader)
    for made, wanted in zip(loader.epoch(0), written):
        assert made.keys() == wanted.keys()
        assert made["negative_item_id"].shape == (BATCH_SIZE, 7)
        for name, column in made.items():
            assert column.tobytes() == wanted[name].tobytes() and column.shape == wanted[name].shape, name


def test_pairwise_rows_hold_a_positive_and_negatives_of_the_user(data):
    loader = negpipe.TrainLoader(data, 100, num_negatives=5, layout="pairwise", padding="drop", seed=2)
    for users, positives, negatives in loader.epoch(0):
        assert (users.shape, positives.shape, negatives.shape) == ((100,), (100,), (100, 5))
        for user, positive, row in zip(users, positives, negatives):
            known = set(data.positives_of(int(user)).tolist())
            assert int(positive) in known and known.isdisjoint(row.tolist())


def test_pairwise_without_negatives_serves_in_batch_losses(data):
    few = negpipe.TrainLoader(data, 100, num_negatives=0, layout="pairwise", seed=2)
    many = negpipe.TrainLoader(data, 100, num_negatives=3, layout="pairwise", seed=2)
    for (users, positives, negatives), others in zip(few.epoch(1), many.epoch(1), strict=True):
        assert negatives.shape == (100, 0)
        assert np.array_equal(users, others[0]) and np.array_equal(positives, others[1])


def test_pairwise_types_masks_threads_and_state(data):
    options = {"num_negatives": 3, "layout": "pairwise", "padding": "mask", "seed": 5}
    plain = negpipe.TrainLoader(data, BATCH_SIZE, prefetch=0, **options)
    wide = negpipe.TrainLoader(data, BATCH_SIZE, prefetch=4, user_dtype="int64", item_dtype="int64", **options)
    masks = []
    for batch, same in zip(plain.epoch(0), wide.epoch(0), strict=True):
        assert [column.dtype.name for column in same] == ["int64", "int64", "int64", "bool"]
        assert all(np.array_equal(a, b) for a, b in zip(batch, same))
        masks.append(batch[3])
    assert np.concatenate(masks).sum() == data.num_positives < len(plain) * BATCH_SIZE
    resumed = pickle.loads(pickle.dumps(plain))
    resumed.load_state_dict({**plain.state_dict(), "epoch": 3, "batch": 1})
    assert_equal(list(resumed), [plain.batch(3, number) for number in range(1, len(plain))])
    assert "rows" in repr(plain)


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@pytest.mark.parametrize("mlperf", [False, True])
def test_evaluation_batches_equal_those_of_the_program(data, mlperf, distribution, tmp_path):
    from program import negpipe as program

    data.save(tmp_path / "dataset")
    options = ["--seed", 42, "--eval-negatives", 20, "--eval-batch-size", 210, *(["--mlperf"] if mlperf else [])]
    program("generate", tmp_path / "dataset", "--out", tmp_path / "run", *options, "--eval-distribution", distribution)
    loader = negpipe.EvalLoader(
        data, 210, seed=42, num_negatives=20, mlperf=mlperf, distribution=distribution, item_dtype="uint16"
    )
    written = list(records.RecordFolder(tmp_path / "run/eval_data").batches())
    assert len(loader) == len(written)
    for made, wanted in zip(loader, written):
        assert made[0].shape == (10, 21)
        for column, name in zip(made, ("user_id", "item_id", "duplicate_mask")):
            assert column.tobytes() == np.asarray(wanted[name]).tobytes(), name


@pytest.fixture(scope="module")
def split_data():
    """Users with 30 items of 100 each, in the order of time; the catalogue is small for user 0."""
    users, items = np.repeat(np.arange(20), 30), np.concatenate([np.arange(u, u + 30) for u in range(20)])
    more = np.setdiff1d(np.arange(49), np.arange(30))[:17]
    users, items = np.append(users, np.zeros(len(more), int)), np.append(items, more)
    return negpipe.Dataset.from_arrays(users, items, min_ratings=1, split="leave-two-out")


@pytest.mark.parametrize("split", ["test", "validation"])
def test_either_held_out_set_is_evaluated(split_data, split, tmp_path):
    from program import negpipe as program

    split_data.save(tmp_path / "data")
    options = ["--seed", 42, "--evaluate", split, "--eval-negatives", 10, "--eval-batch-size", 110]
    program("generate", tmp_path / "data", "--out", tmp_path / "run", *options)
    found = list(negpipe.EvalLoader(split_data, 110, seed=42, num_negatives=10, split=split, item_dtype="uint16"))
    folder = records.RecordFolder(tmp_path / "run" / "eval_data")
    for batch, (users, items, mask) in zip(folder.batches(), found, strict=True):
        assert (batch["user_id"] == users.ravel()).all() and (batch["item_id"] == items.ravel()).all()
        assert (batch["duplicate_mask"] == mask.ravel()).all()
    held_out = split_data.test_items if split == "test" else split_data.validation_items
    rows = np.concatenate([items for _, items, _ in found])[:20]
    assert (rows[1:, 0] == held_out[1:]).all() and (rows[0] == 0).all()  # user 0 has two items left
    for user in range(1, 20):
        others = split_data.test_items[user], split_data.validation_items[user], *split_data.positives_of(user)
        assert not set(rows[user, 1:]) & set(others)


def test_evaluation_negatives_by_weight_are_distinct_and_of_positive_weight(split_data):
    weights = np.arange(split_data.num_items) % 3
    loader = negpipe.EvalLoader(split_data, num_negatives=8, weights=weights, infeasible="fewer", seed=3)
    same = pickle.loads(pickle.dumps(loader))
    assert loader.weights_digest == same.weights_digest != ""
    assert negpipe.EvalLoader(split_data, num_negatives=2).weights_digest == ""
    (users, items, mask), (_, again, _) = loader[0], same[0]
    assert np.array_equal(items, again)
    for user in range(split_data.num_users):
        row = items[user, 1:][~mask[user, 1:]]
        others = split_data.test_items[user], split_data.validation_items[user], *split_data.positives_of(user)
        left = set(np.flatnonzero(weights).tolist()) - set(map(int, others))
        assert len(row) == len(set(row.tolist())) == min(8, len(left))
        assert set(row.tolist()) <= left


def test_popularity_of_evaluation_negatives_is_that_of_the_training_items(data):
    by_name = negpipe.EvalLoader(data, num_negatives=5, distribution="popularity")
    by_weight = negpipe.EvalLoader(data, num_negatives=5, weights=data.item_counts())
    assert by_name.weights_digest == by_weight.weights_digest
    assert np.array_equal(by_name[0][1], by_weight[0][1])
    with pytest.raises(errors.OptionError, match="leave one of them out"):
        negpipe.EvalLoader(data, num_negatives=5, distribution="popularity", weights=data.item_counts())
    with pytest.raises(errors.OptionError, match="^weights: 1 weights given"):
        negpipe.EvalLoader(data, num_negatives=5, weights=[1])


def test_users_with_few_items_left_are_skipped_refused_or_get_fewer(split_data):
    def first_row(**options):
        users, items, mask = negpipe.EvalLoader(split_data, num_negatives=10, **options)[0]
        return items[0], mask[0]

    assert first_row()[1].sum() == 10
    items, mask = first_row(infeasible="fewer")
    assert mask.tolist() == [False] * 3 + [True] * 8
    assert items[3:].tolist() == [items[1], items[2]] * 4 and items[0] == split_data.test_items[0]
    message = "1 of 20 users have fewer items left: 0 .number 0. has 2;.*`infeasible`.*`num_negatives`.*`mlperf`.$"
    with pytest.raises(errors.InfeasibleError, match=message):
        first_row(infeasible="error")


@pytest.mark.parametrize("padding", ["resample", "mask"])
def test_types_do_not_change_values_of_batches_that_are_made_in_pieces(data, padding):
    batch_size = 70_002  # ranks have more points than one piece of 16,384, and no whole number of them
    plain = negpipe.TrainLoader(data, batch_size, padding=padding, item_dtype="uint16", label_dtype="int8")[0]
    for types in ({}, {"user_dtype": "int64", "item_dtype": "int64", "label_dtype": "int64"}):
        for rank in (0, 1):
            loader = negpipe.TrainLoader(data, batch_size, padding=padding, rank=rank, world_size=2, **types)
            part = slice(rank * batch_size // 2, (rank + 1) * batch_size // 2)
            for ours, wanted in zip(loader[0], plain, strict=True):
                assert np.array_equal(ours, wanted[part])


def test_requested_types_do_not_change_values(data):
    plain = negpipe.TrainLoader(data, BATCH_SIZE, label_dtype="int8").batch(0, 0)
    for users in ("int32", "int64"):
        for items in ("uint16", "int32", "int64"):
            for labels in ("int8", "int64", "float32"):
                loader = negpipe.TrainLoader(
                    data, BATCH_SIZE, user_dtype=users, item_dtype=items, label_dtype=labels, as_dict=True
                )
                batch = loader.batch(0, 0)
                assert list(batch) == ["user_id", "item_id", "labels"]
                assert [column.dtype.name for column in batch.values()] == [users, items, labels]
                assert all(np.array_equal(a, b) for a, b in zip(batch.values(), plain))


def test_masks_are_bool(data):
    *_, valid = negpipe.TrainLoader(data, BATCH_SIZE, padding="mask")[-1]
    points = data.num_positives * 5
    assert valid.dtype == bool and valid.sum() == points % BATCH_SIZE
    assert negpipe.EvalLoader(data, 210, num_negatives=20)[0][2].dtype == bool


# ---- access


def test_random_access_equals_iteration(loader):
    epoch = copied(loader.epoch(2))
    assert_equal([loader.batch(2, i) for i in range(len(loader))], epoch)
    loader.set_epoch(2)
    assert_equal([loader[i] for i in (3, 0, -1)], [epoch[3], epoch[0], epoch[-1]])
    assert_equal(list(loader), epoch)


def test_batches_past_2_to_the_40_points_equal_those_of_one_point(data):
    options = {"seed": 42, "num_negatives": 2**30}
    number = 2**40 // BATCH_SIZE + 1
    wanted = [negpipe.TrainLoader(data, BATCH_SIZE, **options).batch(7, number)]
    points = negpipe.TrainLoader(data, 1, **options)
    assert_equal(joined([[points.batch(7, number * BATCH_SIZE + i)] for i in range(BATCH_SIZE)]), wanted)
    ranks = [negpipe.TrainLoader(data, BATCH_SIZE, rank=r, world_size=3, **options) for r in range(3)]
    assert_equal(joined([[rank.batch(7, number)] for rank in ranks]), wanted)
    assert_equal([next(ranks[1]._iterate(7, number))], [ranks[1].batch(7, number)])


@pytest.mark.parametrize("prefetch", [0, 1, 2, 7, 100])
def test_batches_made_ahead_change_nothing(data, loader, prefetch):
    assert_equal(negpipe.TrainLoader(data, BATCH_SIZE, seed=42, prefetch=prefetch), loader.epoch(0))


def test_epochs_differ_and_are_consecutive(loader):
    epochs = [copied(loader) for _ in range(3)]
    for number, epoch in enumerate(epochs):
        assert_equal(loader.epoch(number), epoch)
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])


def test_an_unfinished_epoch_is_not_started_again(loader):
    first = copied([next(iter(loader))])
    second = copied([next(iter(loader))])
    assert_equal(second, [loader.batch(1, 0)])
    assert_equal(first, [loader.batch(0, 0)])
    iter(loader)  # no batch was used, so epoch 2 is still the next one
    assert_equal([next(iter(loader))], [loader.batch(2, 0)])


def test_batches_that_do_not_exist_are_refused(loader):
    for number in (len(loader), -len(loader) - 1):
        with pytest.raises(IndexError, match=f"there is no batch {number}"):
            loader[number]
    assert len(list(reversed(loader))) == len(loader)


def test_memory_of_the_caller_is_filled(data, loader):
    wanted = copied([loader.batch(1, 4)])[0]
    out = [np.zeros(BATCH_SIZE, column.dtype) for column in wanted]
    assert loader.fill_(1, 4, out) is out
    assert_equal([out], [wanted])
    named = dict(zip(("labels", "item_id", "user_id"), reversed([np.zeros_like(column) for column in wanted])))
    loader.fill_(1, 4, named)
    assert_equal([(named["user_id"], named["item_id"], named["labels"])], [wanted])


def test_memory_that_does_not_fit_is_refused(loader):
    good = [np.zeros(BATCH_SIZE, np.int32), np.zeros(BATCH_SIZE, np.int32), np.zeros(BATCH_SIZE, np.float32)]
    loader.fill_(0, 0, good)
    with pytest.raises(ValueError, match="`out`: 2 arrays given; expected 3"):
        loader.fill_(0, 0, good[:2])
    with pytest.raises(ValueError, match="labels is 32-bit"):
        loader.fill_(0, 0, [good[0], good[1], np.zeros(BATCH_SIZE, np.int32)])
    with pytest.raises(ValueError, match=rf"user_id is 32-bit \[{BATCH_SIZE + 1}\]"):
        loader.fill_(0, 0, [np.zeros(BATCH_SIZE + 1, np.int32), *good[1:]])
    strided = np.zeros(2 * BATCH_SIZE, np.int32)[::2]
    read_only = good[0].copy()
    read_only.flags.writeable = False
    for wrong in (strided, read_only):
        with pytest.raises(TypeError, match="`out`: ndarray, ndarray, ndarray given; .* are writable"):
            loader.fill_(0, 0, [wrong, *good[1:]])
    with pytest.raises(TypeError, match="`out`: list, ndarray, ndarray given; expected arrays"):
        loader.fill_(0, 0, [[1, 2], *good[1:]])


# ---- memory


@pytest.mark.parametrize("batch_size", [2**45, 2**61])
def test_batches_larger_than_memory_are_refused(batch_size, data):
    types = {"user_dtype": "int64", "item_dtype": "int64", "label_dtype": "int64"}  # 2**61 of them: bytes overflow
    loader = negpipe.TrainLoader(data, batch_size, **types)
    with pytest.raises(MemoryError, match="bytes for a batch; choose a smaller batch_size"):
        loader.batch(0, 0)


def test_batches_in_use_do_not_change(loader):
    kept = list(loader.epoch(0))
    assert len(kept) > 10
    for _ in loader.epoch(1):
        pass
    assert_equal(kept, [loader.batch(0, i) for i in range(len(loader))])


def test_one_column_keeps_its_batch_alive(data):
    loader = negpipe.TrainLoader(data, BATCH_SIZE)
    items = loader.batch(0, 0)[1]
    wanted = items.copy()
    loader.close()
    del loader
    gc.collect()
    other = negpipe.TrainLoader(data, BATCH_SIZE, seed=9)
    for _ in other:
        pass
    assert np.array_equal(items, wanted)


def test_released_memory_is_reused(data):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, prefetch=0)
    addresses = {loader.batch(0, i)[0].ctypes.data for i in range(len(loader))}
    assert len(addresses) == 1
    assert next(iter(addresses)) % 128 == 0


def test_arrays_are_passed_on_without_a_copy(loader):
    users = loader.batch(0, 0)[0]
    taken = np.from_dlpack(users)
    assert taken.ctypes.data == users.ctypes.data
    wanted = users.copy()
    del users
    for _ in loader:  # reuses free memory
        pass
    assert np.array_equal(taken, wanted)


# ---- refusals


@pytest.mark.parametrize("options, message", [
    ({"batch_size": 0}, "batch.size"),
    ({"padding": "no"}, "expected one of resample, mask, drop"),
    ({"layout": "listwise"}, "`layout`: listwise given; expected one of pointwise, pairwise"),
    ({"item_dtype": "float32"}, "`item_dtype`: float32 given; expected one of uint16, int32, int64"),
    ({"label_dtype": "bool"}, "label_dtype"),
    ({"prefetch": -1}, "prefetch"),
    ({"rank": 1}, "give both or neither"),
    ({"rank": 2, "world_size": 2}, "expected 0 <= rank < world_size"),
    ({"device": "gpu"}, "expected auto, cpu, cuda or cuda:NUMBER"),
    ({"device": "cuda:x"}, "expected auto, cpu, cuda or cuda:NUMBER"),
])
def test_wrong_options_are_refused_by_the_constructor(data, options, message):
    with pytest.raises(errors.OptionError, match=message):
        negpipe.TrainLoader(data, **options)


INTEGERS = {
    negpipe.TrainLoader: ["batch_size", "num_negatives", "seed", "prefetch", "bitset_budget", "rank", "world_size"],
    negpipe.EvalLoader: ["batch_size", "num_negatives", "seed", "prefetch", "rank", "world_size"],
    negpipe.NegativeSampler: ["seed", "threads", "bitset_budget"],
    negpipe.Dataset.synthetic: ["users", "items", "interactions", "min_ratings", "seed"],
}
NAMES = {
    negpipe.TrainLoader: ["padding", "layout", "user_dtype", "item_dtype", "label_dtype"],
    negpipe.EvalLoader: ["split", "infeasible", "user_dtype", "item_dtype"],
    negpipe.Dataset.synthetic: ["like"],
}


def made_with(make, data, **option):
    ranks = {"rank": 0, "world_size": 2} if option.keys() & {"rank", "world_size"} else {}
    subject = () if make == negpipe.Dataset.synthetic else (data,)
    return make(*subject, **{**ranks, **option})


@pytest.mark.parametrize("make, name", [(make, name) for make, names in INTEGERS.items() for name in names])
def test_integers_are_named_when_they_are_refused(make, name, data):
    for wrong, failure in [(-1, errors.OptionError), (2**70, errors.OptionError), (1.5, TypeError), ("x", TypeError)]:
        with pytest.raises(failure, match=f"^`{name}`: {wrong} given; expected|^`{name}`: '{wrong}' given; expected"):
            made_with(make, data, **{name: wrong})


@pytest.mark.parametrize("make, name", [(make, name) for make, names in NAMES.items() for name in names])
def test_names_are_text(make, name, data):
    for wrong in (3, np.int64, b"resample"):
        with pytest.raises(TypeError, match=f"^`{name}`: .* given; expected a name, as text"):
            made_with(make, data, **{name: wrong})


@pytest.mark.skipif(any(name == "cuda" and works for name, works, _ in _native.backends()), reason="there is a device")
@pytest.mark.parametrize("make", [negpipe.TrainLoader, negpipe.EvalLoader])
def test_without_a_device_cuda_is_refused_with_the_reason(data, make):
    (reason,) = [reason for name, _, reason in _native.backends() if name == "cuda"]
    with pytest.raises(errors.BackendError, match=f"device='cuda:1': {re.escape(reason)}"):
        make(data, device="cuda:1")


def test_impossible_evaluation_is_refused_by_the_constructor(data):
    with pytest.raises(errors.InfeasibleError):
        negpipe.EvalLoader(data)
    with pytest.raises(errors.OptionError, match=r"expected a multiple of num_negatives \+ 1 = 21"):
        negpipe.EvalLoader(data, 200, num_negatives=20)
    with pytest.raises(TypeError, match="expected a negpipe.Dataset"):
        negpipe.TrainLoader("ratings.csv")


def test_iterators_have_the_number_of_remaining_batches(loader):
    iterator = loader.epoch(0)
    assert isinstance(iterator, EpochIterator)
    assert iterator.__length_hint__() == len(loader)
    next(iterator)
    assert iterator.__length_hint__() == len(loader) - 1

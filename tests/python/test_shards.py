"""Training from shards: one sequence for every number of ranks that divides that of the shards."""

import collections
import os
import pickle
import shutil
import threading

import numpy as np
import pytest
from program import wait_until

import negpipe
from negpipe import errors

SHARDS = 4
BATCH = 1_000


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=90, items=200, interactions=4_000, min_ratings=5, seed=3)


@pytest.fixture
def shards(data, tmp_path):
    data.save(tmp_path / "data", shards=SHARDS)
    return negpipe.Shards(tmp_path / "data")


def epochs(shards, world_size, **options):
    """The global batches of two epochs, joined from those of all ranks."""
    loaders = [
        negpipe.TrainLoader(shards, BATCH, seed=7, rank=rank, world_size=world_size, **options)
        for rank in range(world_size)
    ]
    return [
        tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))
        for epoch in (0, 1)
        for parts in zip(*(loader.epoch(epoch) for loader in loaders), strict=True)
    ]


def assert_equal(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "drop", "prefetch": 0, "item_dtype": "uint16", "user_dtype": "int64"},
        {"layout": "pairwise", "num_negatives": 3},
        {"weights": np.arange(200)},
        {"padding": "mask"},
        {"padding": "mask", "layout": "pairwise", "distribution": "popularity"},
    ],
    ids=["resample", "drop", "pairwise", "weights", "mask", "popularity"],
)
def test_the_sequence_is_the_same_for_each_number_of_ranks(options, shards):
    wanted = epochs(shards, 1, **options)
    assert_equal(epochs(shards, 2, **options), wanted)
    assert_equal(epochs(shards, SHARDS, **options), wanted)


@pytest.mark.parametrize("padding", ["resample", "drop"])
def test_a_batch_is_that_of_each_shard(padding, shards):
    loader = negpipe.TrainLoader(shards, BATCH, seed=7, padding=padding)
    parts = [
        negpipe.TrainLoader(
            shards.load(k), BATCH // SHARDS, seed=negpipe._native.shard_seed(7, k, SHARDS), padding=padding
        )
        for k in range(SHARDS)
    ]
    assert len(loader) == (min if padding == "drop" else max)(map(len, parts))
    assert len(set(map(len, parts))) > 1, "the shards should have different numbers of batches"
    for number, batch in enumerate(loader.epoch(5)):
        made = [part.batch(5, number % len(part)) for part in parts]
        users = [users + part.dataset.first_user for (users, *_), part in zip(made, parts)]
        assert np.array_equal(batch[0], np.concatenate(users))
        assert np.array_equal(batch[1], np.concatenate([items for _, items, _ in made]))
        assert np.array_equal(batch[2], np.concatenate([labels for *_, labels in made]))


def test_every_positive_of_the_whole_dataset_occurs_in_an_epoch(data, shards):
    pairs = {
        (user, item)
        for users, items, labels in negpipe.TrainLoader(shards, BATCH, seed=7).epoch(0)
        for user, item in zip(users[labels == 1].tolist(), items[labels == 1].tolist())
    }
    assert pairs == set(pairs_of(data))


def pairs_of(data):
    users = np.repeat(np.arange(data.num_users), np.diff(data.user_offsets))
    return zip(users.tolist(), data.positive_items.tolist())


def test_unmasked_points_are_those_of_an_epoch(data, shards):
    loader = negpipe.TrainLoader(shards, BATCH, seed=7, padding="mask", num_negatives=2)
    lengths = [-(-count * 3 // (BATCH // SHARDS)) for count in shards._native.positive_counts]
    assert len(loader) == max(lengths) > min(lengths), "one shard should have batches of padding alone"
    users, items, labels, valid = (np.concatenate(columns) for columns in zip(*loader.epoch(0)))
    assert valid.dtype == bool
    assert valid.sum() == 3 * data.num_positives
    is_positive = valid & (labels == 1)
    assert collections.Counter(zip(users[is_positive].tolist(), items[is_positive].tolist())) == collections.Counter(
        pairs_of(data)
    )
    assert not labels[~valid].any()


def test_popularity_is_that_of_the_whole_dataset(data, shards):
    assert shards.item_counts().tolist() == data.item_counts().tolist()
    for alpha in (None, 1.0):
        options = {"distribution": "popularity", "alpha": alpha}
        wanted = negpipe.TrainLoader(data, **options).weights_digest
        assert negpipe.TrainLoader(shards, BATCH, **options).weights_digest == wanted


# ---- evaluation


def evaluated(data, world_size, **options):
    """The rows that are no padding, by user."""
    rows = {}
    for rank in range(world_size):
        loader = negpipe.EvalLoader(data, rank=rank, world_size=world_size, seed=5, **options)
        batches = list(loader)
        assert len(batches) == len(loader)
        for users, items, mask in batches:
            assert len(users) * world_size * users.shape[1] == loader.batch_size
            for row in np.flatnonzero(mask.sum(1) < loader.num_negatives):
                assert users[row, 0] not in rows and (users[row] == users[row, 0]).all()
                rows[users[row, 0]] = items[row].tolist(), mask[row].tolist()
    return rows


@pytest.mark.parametrize(
    "options",
    [
        {"num_negatives": 20},
        {"num_negatives": 20, "batch_size": 21 * 12, "user_dtype": "int64", "item_dtype": "uint16"},
        {"num_negatives": 170, "infeasible": "fewer"},
        {"num_negatives": 170, "infeasible": "skip", "prefetch": 0},
        {"num_negatives": 19, "mlperf": True},
        {"num_negatives": 19, "distribution": "popularity"},
        {"num_negatives": 19, "mlperf": True, "weights": np.arange(200)},
    ],
    ids=["uniform", "batches", "fewer", "skip", "mlperf", "popularity", "weights"],
)
def test_evaluation_rows_are_those_of_the_whole_dataset(options, data, shards):
    wanted = evaluated(data, 1, **options)
    assert len(wanted) > 10
    for world_size in (1, 2, SHARDS):
        assert evaluated(shards, world_size, **options) == wanted
    assert evaluated(data, 2, **options) == wanted


def test_rows_past_the_last_user_of_a_rank_are_padding(shards):
    *columns, mask = zip(*negpipe.EvalLoader(shards, 5 * 64, num_negatives=4, rank=1, world_size=2))
    real = shards.num_users - shards._native.first_users[2]
    for column in map(np.concatenate, columns):
        assert len(column) > real and column[:real].any() and not column[real:].any()
    assert (np.concatenate(mask)[real:] == [False, True, True, True, True]).all()


def test_validation_rows_are_evaluated_from_shards(tmp_path):
    random = np.random.default_rng(1)
    pairs = np.unique(random.integers(0, [60, 300], (3_000, 2)), axis=0)
    data = negpipe.Dataset.from_arrays(*random.permutation(pairs).T, split="leave-two-out", min_ratings=5)
    data.save(tmp_path / "data", shards=3)
    shards = negpipe.Shards(tmp_path / "data")
    for split in ("validation", "test"):
        options = {"num_negatives": 50, "split": split}
        assert evaluated(shards, 3, **options) == evaluated(data, 1, **options)


def test_a_rank_opens_only_its_shards_for_evaluation(shards, tmp_path):
    wanted = list(negpipe.EvalLoader(shards, num_negatives=9, rank=2, world_size=SHARDS))
    for k in (0, 1, 3):
        (tmp_path / "data" / f"test_items.{k:05}.npy").unlink()
    loader = negpipe.EvalLoader(shards, num_negatives=9, rank=2, world_size=SHARDS)
    assert_equal(list(pickle.loads(pickle.dumps(loader))), wanted)
    with pytest.raises(errors.FormatError, match="00003.npy is missing"):
        len(negpipe.EvalLoader(shards, num_negatives=9, rank=3, world_size=SHARDS))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"candidates": "rows.npy"}, "`candidates`: not possible with Shards"),
        ({"split": "bogus"}, "`split`: bogus given"),
        ({"infeasible": "bogus"}, "`infeasible`: bogus given"),
        ({"item_dtype": "int8"}, "`item_dtype`: int8 given"),
        ({"weights": [1, 2, 3]}, "3 weights given; expected 200"),
        ({"batch_size": 21}, "multiple of num_negatives"),
    ],
)
def test_what_evaluation_of_shards_cannot_do_is_refused(options, message, shards):
    with pytest.raises(errors.OptionError, match=message):
        negpipe.EvalLoader(shards, **options)


def test_evaluation_of_shards_refuses_other_ranks_and_to_save_candidates(shards, tmp_path):
    with pytest.raises(errors.OptionError, match="world_size is 3; expected a divisor of 4"):
        len(negpipe.EvalLoader(shards, num_negatives=9, rank=0, world_size=3))
    with pytest.raises(errors.OptionError, match="candidates are saved of a Dataset"):
        negpipe.EvalLoader(shards, num_negatives=9).save_candidates(tmp_path / "rows.npy")
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


# ---- the rest of training


def test_a_rank_opens_only_its_shards(shards, tmp_path):
    wanted = negpipe.TrainLoader(shards, BATCH, rank=2, world_size=SHARDS).batch(0, 1)
    for k in (0, 1, 3):
        for file in (tmp_path / "data").glob(f"*.{k:05}.npy"):
            file.unlink()
    loader = negpipe.TrainLoader(shards, BATCH, rank=2, world_size=SHARDS)
    assert_equal([loader.batch(0, 1)], [wanted])
    with pytest.raises(errors.FormatError, match="00003.npy is missing"):
        negpipe.TrainLoader(shards, BATCH, rank=1, world_size=2).batch(0, 0)


def test_random_access_filling_and_states_give_the_batches_of_the_iteration(shards):
    loader = negpipe.TrainLoader(shards, BATCH, seed=7, rank=1, world_size=2)
    wanted = list(loader.epoch(0))
    assert_equal([loader.batch(0, number) for number in range(len(loader))], wanted)
    out = [np.empty_like(array) for array in wanted[3]]
    loader.fill_(0, 3, out)
    assert_equal([tuple(out)], [wanted[3]])
    with pytest.raises(errors.OptionError, match="out"):
        loader.fill_(0, 3, [array[1:] for array in out])
    first = negpipe.TrainLoader(shards, BATCH, seed=7, rank=1, world_size=2)
    iterator = iter(first)
    for _ in range(len(loader) - 2):
        next(iterator)
    other = negpipe.TrainLoader(shards, BATCH, seed=7, rank=0, world_size=1)
    assert other.state_dict() == {**first.state_dict(), "batch": 0}
    new = negpipe.TrainLoader(shards, BATCH, seed=7, rank=1, world_size=2)
    for resumed in (pickle.loads(pickle.dumps(first)), new):
        resumed.load_state_dict(first.state_dict())
        assert_equal(list(resumed), wanted[-2:])


@pytest.mark.parametrize("prefetch", [0, 2])
def test_threads_that_share_an_iterator_get_each_batch_once(prefetch, shards):
    loader = negpipe.TrainLoader(shards, 100, seed=7, prefetch=prefetch)
    wanted = collections.Counter(items.tobytes() for _, items, _ in loader.epoch(0))
    iterator = loader.epoch(0)
    found = collections.Counter()
    failures = []

    def run():
        try:
            found.update([items.tobytes() for _, items, _ in iterator])
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert found == wanted


def test_closing_in_another_thread_ends_the_iteration(shards):
    for _ in range(20):
        loader = negpipe.TrainLoader(shards, 40, seed=7)
        iterator = loader.epoch(0)
        began = threading.Event()
        outcome = []

        def run():
            try:
                for _ in iterator:
                    began.set()
                outcome.append("ended")
            except BaseException as failure:
                outcome.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        assert began.wait(60)
        loader.close()
        thread.join(60)
        assert outcome == ["ended"]
        assert next(iterator, None) is None


def test_filling_takes_buffers_and_refuses_what_cannot_be_filled(shards):
    loader = negpipe.TrainLoader(shards, BATCH, seed=7)
    wanted = loader.batch(0, 3)
    good = [np.zeros_like(array) for array in wanted]
    loader.fill_(0, 3, [memoryview(array) for array in good])
    assert_equal([tuple(good)], [wanted])
    read_only = np.zeros(BATCH, np.float32)
    read_only.flags.writeable = False
    good = [np.zeros_like(array) for array in wanted]
    for last in (read_only, bytes(read_only), np.zeros(2 * BATCH, np.float32)[::2], read_only.tolist()):
        with pytest.raises(TypeError, match="`out`: ndarray, ndarray, .* arrays that are writable, contiguous"):
            loader.fill_(0, 3, [*good[:2], last])
    with pytest.raises(errors.OptionError, match="2 arrays given; expected 3"):
        loader.fill_(0, 3, good[:2])
    assert not any(array.any() for array in good)


def test_users_without_negatives_are_named_with_their_shard(data, shards):
    user = data.num_users - 1
    weights = np.zeros(data.num_items, int)
    weights[data.positive_items[data.user_offsets[user] :]] = 1
    first = shards.load(3).first_user
    message = rf"shard 3 of .* user 0 is user {first} of .*: 1 user .* of user {user - first}\."
    with pytest.raises(errors.InfeasibleError, match=message):
        negpipe.TrainLoader(shards, BATCH, weights=weights, rank=3, world_size=4).batch(0, 0)


def test_prefetch_is_the_number_of_threads_of_all_shards(shards):
    def count():
        return len(os.listdir("/proc/self/task"))

    loader = negpipe.TrainLoader(shards, 100, seed=7, prefetch=2)
    loader.batch(0, 0)
    before = count()
    iterator = loader.epoch(0)
    next(iterator)
    assert count() <= before + 2
    iterator.close()
    wait_until(lambda: count() <= before, "the end of the threads")  # a joined thread leaves /proc a moment later


@pytest.mark.parametrize("prefetch", [0, 3])
def test_the_shards_of_a_rank_divide_the_bitset_budget_and_are_loaded_by_its_threads(prefetch, shards, monkeypatch):
    given = []
    make = negpipe._native.training_shards

    def record(native, numbers, batch_count, **options):
        given.append((numbers, options["bitset_budget"]))
        return make(native, numbers, batch_count, **options)

    monkeypatch.setattr(negpipe._native, "training_shards", record)
    negpipe.TrainLoader(shards, BATCH, bitset_budget=1_000, rank=1, world_size=2, prefetch=prefetch).batch(0, 0)
    assert given == [((2, 2, max(1, prefetch)), 500)]


def test_a_forked_process_cannot_go_on_with_an_iterator(shards):
    iterator = negpipe.TrainLoader(shards, 100, seed=7).epoch(0)
    next(iterator)
    child = os.fork()
    if child == 0:
        try:
            next(iterator)
        except errors.ForkError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert next(iterator) is not None


def test_states_of_another_number_of_shards_are_refused(data, shards, tmp_path):
    state = negpipe.TrainLoader(shards, BATCH).state_dict()
    data.save(tmp_path / "other", shards=2)
    for other in (negpipe.Shards(tmp_path / "other"), data):
        with pytest.raises(errors.StateMismatchError, match="shards is 4"):
            negpipe.TrainLoader(other, BATCH).load_state_dict(state)
    with pytest.raises(errors.StateMismatchError, match="shards is None"):
        negpipe.TrainLoader(shards, BATCH).load_state_dict(negpipe.TrainLoader(data, BATCH).state_dict())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 1_001}, "batch_size`: 1001 given; expected a multiple of 4"),
        ({"padding": "drop", "batch_size": 100_000}, "fill no part of 25000"),
        ({"padding": "bogus"}, "`padding`: bogus given"),
        ({"layout": "bogus"}, "`layout`: bogus given"),
        ({"user_dtype": "int8"}, "`user_dtype`: int8 given"),
        ({"label_dtype": "int16"}, "`label_dtype`: int16 given"),
        ({"weights": [1, 2, 3]}, "3 weights given; expected 200"),
        ({"weights": np.zeros(200, int)}, "all weights are 0"),
        ({"seed": -1}, "`seed`: -1 given"),
        ({"num_negatives": -1}, "`num_negatives`: -1 given"),
        ({"num_negatives": -5, "layout": "pairwise"}, "`num_negatives`: -5 given"),
        ({"bitset_budget": -1}, "`bitset_budget`: -1 given"),
        ({"batch_size": 0}, "batch_size: 0 given"),
        ({"batch_size": -4}, "`batch_size`: -4 given"),
        ({"batch_size": 2**62}, "batch_size: 4611686018427387904 given, at most"),
    ],
)
def test_what_shards_cannot_do_is_refused(options, message, shards):
    with pytest.raises(errors.OptionError, match=message):
        negpipe.TrainLoader(shards, **options)


@pytest.mark.parametrize(
    "options", [{"batch_size": "400"}, {"batch_size": None}, {"seed": "x"}, {"bitset_budget": 1.5}], ids=str
)
def test_options_that_are_no_integers_are_named(options, data, shards):
    for given in (data, shards):
        with pytest.raises(TypeError, match=f"`{next(iter(options))}`: .*expected an integer"):
            negpipe.TrainLoader(given, **options)


def test_an_empty_shard_is_refused(data, tmp_path):
    data.save(tmp_path / "data", shards=89)
    shards = negpipe.Shards(tmp_path / "data")
    empty = shards._native.positive_counts.index(0)
    with pytest.raises(errors.OptionError, match=f"shard {empty} has no training positives"):
        negpipe.TrainLoader(shards, 89)


def test_numbers_of_ranks_must_divide_that_of_the_shards(shards):
    with pytest.raises(errors.OptionError, match="world_size is 3; expected a divisor of 4"):
        negpipe.TrainLoader(shards, BATCH, rank=0, world_size=3).batch(0, 0)


def test_shards_know_the_whole_dataset(data, shards, tmp_path):
    assert (shards.num_users, shards.num_items, shards.num_positives) == (90, 200, data.num_positives)
    assert shards.digest == data.digest and len(shards) == SHARDS
    part = shards.load(2)
    assert part.user_ids.tolist() == data.user_ids.tolist()[part.first_user : part.first_user + part.num_users]
    copy = pickle.loads(pickle.dumps(part))
    assert (copy.digest, copy.first_user) == (part.digest, part.first_user)
    for wrong, failure in ((SHARDS, errors.OptionError), (-1, errors.OptionError), (1.5, TypeError)):
        with pytest.raises(failure, match=f"`number`: {wrong} given; expected"):
            shards.load(wrong)
    shutil.rmtree(tmp_path / "data")
    data.save(tmp_path / "data")
    with pytest.raises(errors.OptionError, match="not in shards"):
        negpipe.Shards(tmp_path / "data")


@pytest.mark.parametrize("same_data", [False, True], ids=["other_data", "other_shards"])
def test_a_folder_that_was_replaced_is_refused(same_data, data, shards, tmp_path):
    loader = negpipe.TrainLoader(shards, BATCH, seed=7)
    pickled = [pickle.dumps(shards), pickle.dumps(loader)]
    assert [pickle.loads(one).__class__ for one in pickled] == [negpipe.Shards, negpipe.TrainLoader]
    other = negpipe.Dataset.synthetic(users=900, items=300, interactions=9_000, min_ratings=5, seed=4)
    (data if same_data else other).save(tmp_path / "data", overwrite=True, shards=2 if same_data else SHARDS)
    with pytest.raises(errors.FormatError, match=f"was replaced.*{data.digest}"):
        loader.batch(0, 0)
    with pytest.raises(errors.FormatError, match=f"was replaced.*{data.digest}"):
        shards.load(3)
    for one in pickled:
        with pytest.raises(errors.FormatError, match=f"was changed.*{data.digest}"):
            pickle.loads(one)


def test_weights_have_the_digest_of_a_dataset_in_one_piece(data, shards):
    weights = np.arange(200)
    assert (
        negpipe.TrainLoader(shards, BATCH, weights=weights).weights_digest
        == negpipe.TrainLoader(data, BATCH, weights=weights).weights_digest
    )


def test_torch_loaders_take_shards(shards):
    torch_loaders = pytest.importorskip("negpipe.torch", exc_type=ImportError)
    wanted = list(negpipe.TrainLoader(shards, BATCH, seed=7).epoch(0))
    made = torch_loaders.TrainLoader(shards, BATCH, seed=7, device="cpu").epoch(0)
    assert_equal([tuple(tensor.numpy() for tensor in batch) for batch in made], wanted)

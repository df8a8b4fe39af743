"""Loaders in several processes and threads: ranks, states, forks, pickles, the end."""

import gc
import json
import os
import pickle
import threading

import numpy as np
import pytest
from batches import BATCH_SIZE, assert_equal, copied, joined
from batches import data as data, loader as loader

import negpipe
from negpipe import errors

WORLD_SIZES = (1, 2, 3, 8)


# ---- ranks


@pytest.mark.parametrize("layout", ["pointwise", "pairwise"])
@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_every_number_of_ranks_gives_one_sequence(data, padding, layout):
    def loaders(world_size):
        return [
            negpipe.TrainLoader(
                data, BATCH_SIZE, seed=42, padding=padding, layout=layout, rank=rank, world_size=world_size
            )
            for rank in range(world_size)
        ]

    (whole,) = [copied(loader) for loader in loaders(1)]
    for world_size in WORLD_SIZES[1:]:
        parts = [copied(loader) for loader in loaders(world_size)]
        assert {len(part) for part in parts} == {len(whole)}
        assert_equal(joined(parts), whole)


def test_every_user_is_evaluated_by_one_rank(data):
    whole = copied(negpipe.EvalLoader(data, 504, num_negatives=20))
    for world_size in WORLD_SIZES:
        parts = [
            copied(negpipe.EvalLoader(data, 504, num_negatives=20, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        assert_equal(joined(parts), whole)
    default = [negpipe.EvalLoader(data, num_negatives=20, rank=rank, world_size=3) for rank in range(3)]
    rows = [mask.sum(axis=1) != 20 for loader in default for _, _, mask in loader]
    assert np.concatenate(rows).sum() == data.num_users


def test_batches_that_cannot_be_shared_evenly_are_refused(data):
    with pytest.raises(ValueError, match="500 points cannot be split into 3 equal parts, one a rank; 501 can"):
        negpipe.TrainLoader(data, 500, rank=0, world_size=3).batch(0, 0)
    with pytest.raises(ValueError, match="its 10 rows cannot be split into 3 equal parts, one a rank; 252 can"):
        len(negpipe.EvalLoader(data, 210, num_negatives=20, rank=0, world_size=3))


def test_ranks_are_found_at_the_first_batch(data, monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    loader = negpipe.TrainLoader(data, BATCH_SIZE)
    assert len(loader) > 0 and "TrainLoader" in repr(loader) and loader.state_dict()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert len(loader.batch(0, 0)[0]) == BATCH_SIZE // 3
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert len(loader.batch(0, 0)[0]) == BATCH_SIZE // 3  # not determined again


# ---- state


def test_every_batch_can_be_resumed_after(data, loader):
    whole = copied(loader.epoch(1))
    loader.set_epoch(1)
    iterator = iter(loader)
    for delivered in range(len(loader)):
        state = json.loads(json.dumps(loader.state_dict()))
        assert (state["epoch"], state["batch"]) == (1, delivered)
        for world_size in (1, 2):
            parts = []
            for rank in range(world_size):
                resumed = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, rank=rank, world_size=world_size)
                resumed.load_state_dict(state)
                assert resumed.current_epoch == 1
                parts.append(copied(resumed))
            assert_equal(joined(parts), whole[delivered:])
        next(iterator)
    assert next(iterator, None) is None
    assert (loader.state_dict()["epoch"], loader.state_dict()["batch"]) == (2, 0)


def test_loops_over_epochs_go_on_where_the_state_says(data, loader):
    for _, _ in zip(range(3), loader.epoch(5)):
        pass
    state = loader.state_dict()
    wanted = [*range(state["batch"], len(loader)), *range(len(loader))]
    assert state["batch"] == 3
    for announce in (True, False):
        resumed = negpipe.TrainLoader(data, BATCH_SIZE, seed=42)
        resumed.load_state_dict(state)
        found = []
        for epoch in range(resumed.current_epoch, 7):
            if announce:
                resumed.set_epoch(epoch)
            found += copied(iter(resumed) if announce else resumed.epoch(epoch))
        assert_equal(found, [loader.batch(5 + (i >= len(loader) - 3), number) for i, number in enumerate(wanted)])


@pytest.mark.parametrize("field, options", [
    ("seed", {"seed": 43}),
    ("num_negatives", {"num_negatives": 5}),
    ("batch_size", {"batch_size": 100}),
    ("padding", {"padding": "drop"}),
    ("layout", {"layout": "pairwise"}),
])
def test_a_state_of_other_batches_is_refused(data, loader, field, options):
    other = negpipe.TrainLoader(data, **{"batch_size": BATCH_SIZE, "seed": 42, **options})
    with pytest.raises(errors.StateMismatchError, match=f"^{field} is"):
        other.load_state_dict(loader.state_dict())


def test_a_state_of_another_dataset_or_version_is_refused(data, loader):
    other = negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=4)
    with pytest.raises(ValueError, match="^dataset is"):
        negpipe.TrainLoader(other, BATCH_SIZE, seed=42).load_state_dict(loader.state_dict())
    with pytest.raises(ValueError, match="^stream_version is 0"):
        loader.load_state_dict({**loader.state_dict(), "stream_version": 0})
    with pytest.raises(ValueError, match="an epoch has"):
        loader.load_state_dict({**loader.state_dict(), "batch": len(loader)})


@pytest.mark.parametrize("change", [
    {"epoch": 2**32}, {"epoch": -1}, {"epoch": None}, {"epoch": "0"}, {"batch": 1.5}, {"batch": float("nan")},
])
def test_a_state_with_another_epoch_or_batch_than_there_can_be_is_refused(loader, change):
    with pytest.raises(errors.StateMismatchError, match=f"{next(iter(change))}"):
        loader.load_state_dict({**loader.state_dict(), **change})


@pytest.mark.parametrize("state", [None, [], "{}"])
def test_what_is_no_state_is_refused(loader, state):
    with pytest.raises(errors.StateMismatchError, match="expected what state_dict returned"):
        loader.load_state_dict(state)


@pytest.mark.parametrize("epoch", [-1, 2**32])
def test_epochs_beyond_32_bits_are_refused(loader, epoch):
    for use in (lambda: loader.batch(epoch, 0), lambda: loader.epoch(epoch), lambda: loader.set_epoch(epoch)):
        with pytest.raises(errors.OutOfRangeError, match="numbered from 0 to 4294967295"):
            use()


@pytest.mark.parametrize("number", ["x", 1.5, None])
def test_numbers_of_epochs_and_batches_are_integers(loader, number):
    with pytest.raises(TypeError, match=f"epoch {number!r}: expected an integer"):
        loader.set_epoch(number)
    with pytest.raises(TypeError, match=f"batch {number!r}: expected an integer"):
        loader.batch(0, number)


@pytest.mark.parametrize("options", [{"num_negatives": -1}, {"num_negatives": 0}, {"batch_size": -20}])
def test_evaluation_without_rows_is_refused(data, options):
    with pytest.raises(errors.OptionError, match=f"`{next(iter(options))}`: .* given; expected 1 to"):
        negpipe.EvalLoader(data, **{"num_negatives": 19, **options})


# ---- threads, forks, the end


def test_threads_may_share_a_loader(loader):
    wanted = copied(loader.epoch(0))
    found = {}

    def read(first):
        for number in range(first, len(loader), 4):
            found[number] = copied([loader.batch(0, number)])[0]

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_equal([found[number] for number in range(len(loader))], wanted)


def test_threads_may_share_an_iterator(data):
    with negpipe.TrainLoader(data, 64, seed=42) as loader:
        wanted = sorted(int(items.sum()) for _, items, _ in loader.epoch(0))
        iterator = loader.epoch(0)
        found = []
        threads = [
            threading.Thread(target=lambda: found.extend(int(items.sum()) for _, items, _ in iterator))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == wanted


def in_child(work):
    """Runs work() in a forked process and returns its result."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            result = work()
        except BaseException as failure:  # any exception is passed to the parent
            result = failure
        os.write(writing, pickle.dumps(result))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pickle.loads(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    return result


def test_a_forked_process_continues_with_its_own_iterator(data):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, seed=42)
    iterator = iter(loader)
    kept = next(iterator)
    sums = [int(items.sum()) for _, items, _ in loader.epoch(3)]

    def work():
        found = [int(items.sum()) for _, items, _ in loader.epoch(3)]
        refused = None
        try:
            next(iterator)
        except errors.ForkError as failure:
            refused = str(failure)
        iterator.close()
        return found, refused, int(kept[1].sum())

    found, refused, total = in_child(work)
    assert found == sums and total == kept[1].sum()
    assert "make a new iterator in the forked process" in refused
    assert_equal([next(iterator)], [loader.batch(0, 1)])


def test_pickles_make_the_same_batches_and_keep_the_state(data, loader):
    iterator = iter(loader)
    next(iterator)
    again = pickle.loads(pickle.dumps(loader))
    assert again.state_dict() == loader.state_dict()
    assert_equal(again, [loader.batch(0, i) for i in range(1, len(loader))])
    rows = negpipe.EvalLoader(data, 210, num_negatives=20)
    assert_equal(pickle.loads(pickle.dumps(rows)), rows)


def test_after_close_batches_stay_and_new_ones_are_refused(data):
    with negpipe.TrainLoader(data, BATCH_SIZE) as loader:
        iterator = iter(loader)
        users = next(iterator)[0]
        wanted = users.copy()
    assert np.array_equal(users, wanted)
    assert next(iterator, None) is None
    for use in (lambda: loader[0], lambda: iter(loader), lambda: loader.epoch(1)):
        with pytest.raises(ValueError, match="the loader is closed"):
            use()
    loader.close()


def test_dropped_iterators_end_their_threads(data):
    before = len(os.listdir("/proc/self/task"))
    for _ in range(20):
        loader = negpipe.TrainLoader(data, BATCH_SIZE, prefetch=4)
        next(iter(loader))
        del loader
    gc.collect()
    assert len(os.listdir("/proc/self/task")) <= before

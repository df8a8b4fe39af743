"""Batches on a CUDA device in PyTorch, JAX and CuPy: the bytes of the CPU, in the order of their streams."""

import numpy as np
import pytest
from frameworks import BATCH_SIZE, SLOW_CYCLES, TorchByDLPack, TorchLoaders, assert_equal, batches_of, both
from frameworks import cupy as cupy, data as data, jax as jax, torch as torch, way as way

import negpipe
from negpipe import errors
from negpipe.metrics import FullRankingMetrics, RankingMetrics


# ---- the bytes


@pytest.mark.parametrize("options", [
    {},
    {"padding": "mask", "num_negatives": 3},
    {"layout": "pairwise", "num_negatives": 3},
    {"item_dtype": "uint16", "label_dtype": "int8", "rank": 1, "world_size": 3},
    {"distribution": "popularity", "prefetch": 0},
])
def test_training_batches_are_those_of_the_cpu(way, data, options):
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=42, **options)
    for epoch in (0, 7):
        assert_equal(way, batches_of(way, device.epoch(epoch)), cpu.epoch(epoch))
    assert_equal(way, batches_of(way, [device.batch(2, -1)]), [cpu.batch(2, -1)])


@pytest.mark.parametrize("options", [
    {"num_negatives": 20},
    {"num_negatives": 41, "mlperf": True},
    {"num_negatives": 20, "distribution": "popularity"},
])
def test_evaluation_rows_are_those_of_the_cpu(way, data, options):
    batch_size = 6 * (options["num_negatives"] + 1)
    device, cpu = both(way, "EvalLoader", data, batch_size, seed=5, **options)
    assert_equal(way, batches_of(way, device), cpu)


def test_rows_of_candidates_are_copied_to_the_device(torch, data, tmp_path):
    way = TorchLoaders(torch)
    negpipe.EvalLoader(data, num_negatives=20, seed=5).save_candidates(tmp_path / "rows.npy")
    device, cpu = both(way, "EvalLoader", data, 126, num_negatives=20, seed=5)
    read = negpipe.torch.EvalLoader(data, 126, candidates=tmp_path / "rows.npy", device="cuda")
    assert_equal(way, read, cpu)
    assert_equal(way, device, cpu)


def test_types_of_64_bits(torch, data):
    way = TorchLoaders(torch)
    types = {"user_dtype": "int64", "item_dtype": "int64", "label_dtype": "int64"}
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, **types)
    assert_equal(way, device.epoch(0), cpu.epoch(0))


# ---- iteration


def test_an_iteration_that_ends_early_leaves_its_batches(way, data):
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1, prefetch=4)
    wanted = list(cpu.epoch(0))
    iterator = batches_of(way, device.epoch(0))
    kept = [next(iterator), next(iterator)]
    device.close()
    del iterator, device
    other, _ = both(way, "TrainLoader", data, BATCH_SIZE, seed=2)
    list(other.epoch(0))
    assert_equal(way, kept, wanted[:2])


def test_a_state_of_the_cpu_resumes_on_the_device_and_the_reverse(way, data):
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1, prefetch=3)
    wanted = list(cpu.epoch(1))
    iterator = device.epoch(1)
    for _ in range(4):
        next(iterator)
    state = device.state_dict()
    again, resumed = both(way, "TrainLoader", data, BATCH_SIZE, seed=1)
    resumed.load_state_dict(state)
    assert all(np.array_equal(*pair) for ours, theirs in zip(resumed, wanted[4:], strict=True)
               for pair in zip(ours, theirs))
    again.load_state_dict(state)
    assert_equal(way, batches_of(way, again), wanted[4:])


def test_several_loaders_take_turns(way, data):
    pairs = [both(way, "TrainLoader", data, BATCH_SIZE, seed=1), both(way, "TrainLoader", data, BATCH_SIZE, seed=2),
             both(way, "EvalLoader", data, 126, num_negatives=20)]
    rounds = list(zip(*(batches_of(way, device) for device, _ in pairs)))
    assert len(rounds) == len(pairs[2][1])
    for found, wanted in zip(rounds, zip(*(cpu for _, cpu in pairs))):
        assert_equal(way, found, wanted)


def test_memory_is_not_written_before_its_readers_are_done(way, data):
    """Batches are dropped while a slow kernel delays their readers, and the next ones are made in the meantime."""
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1, prefetch=2)
    way.numpy(way.read_late(next(batches_of(way, device.epoch(1))))[0])  # compiles
    read = [way.read_late(batch) for batch in batches_of(way, device.epoch(0))]
    assert_equal(way, read, cpu.epoch(0))


def test_jax_takes_the_memory_over(jax, data):
    array = negpipe.TrainLoader(data, BATCH_SIZE, device="cuda")[0][0]
    assert jax.dlpack.from_dlpack(array).unsafe_buffer_pointer() == array.__cuda_array_interface__["data"][0]
    with jax.transfer_guard("disallow"):
        assert len(list(negpipe.jax.TrainLoader(data, BATCH_SIZE, device="cuda").epoch(0))) == 15


def test_devices_that_do_not_exist_are_refused(way, data):
    with pytest.raises(errors.OptionError, match="99"):
        way.package.TrainLoader(data, BATCH_SIZE, device="cuda:99")[0]
    with pytest.raises(errors.OptionError, match="99"):
        way.package.EvalLoader(data, num_negatives=20, device="cuda:99")[0]


# ---- PyTorch's streams and graphs


def test_tensors_are_filled_on_the_current_stream(torch, data):
    way, side = TorchLoaders(torch), torch.cuda.Stream()
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1)
    with torch.cuda.stream(side):
        torch.cuda._sleep(SLOW_CYCLES)
        found = list(device.epoch(0))
        filled = device.fill_(1, 3, [torch.empty_like(column) for column in found[0]])
    assert not side.query()
    torch.cuda.current_stream().wait_stream(side)
    assert_equal(way, found, cpu.epoch(0))
    assert_equal(way, [filled], [cpu.batch(1, 3)])


def test_an_epoch_goes_on_on_another_stream(torch, data):
    way, side = TorchLoaders(torch), torch.cuda.Stream()
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1, prefetch=5)
    iterator = device.epoch(0)
    torch.cuda._sleep(SLOW_CYCLES)
    found = [next(iterator)]
    with torch.cuda.stream(side):  # the batches that were queued to the first stream are not awaited here
        read = [tuple(column.clone() for column in next(iterator)) for _ in range(2)]
    side.synchronize()
    found += [*read, *iterator]
    assert_equal(way, found, cpu.epoch(0))


def test_exported_batches_are_awaited_on_the_stream_that_reads_them(torch, data):
    way, side = TorchByDLPack(torch), torch.cuda.Stream()
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1)
    with torch.cuda.stream(side):
        read = [way.read_late(batch) for batch in batches_of(way, device.epoch(0))]
    side.synchronize()
    assert_equal(way, read, cpu.epoch(0))


def test_a_loader_is_closed_while_its_batches_are_made(torch, data):
    """The dataset in device memory is freed after the kernels that read it."""
    cpu = negpipe.TrainLoader(data, BATCH_SIZE, seed=1)
    wanted = [cpu.batch(0, number) for number in range(4)]
    plain = negpipe.TrainLoader(data, BATCH_SIZE, seed=1, device="cuda")
    on_torch = negpipe.torch.TrainLoader(data, BATCH_SIZE, seed=1, device="cuda")
    streams = [torch.cuda.ExternalStream(plain[0][0].__cuda_array_interface__["stream"]), torch.cuda.Stream()]
    for way, loader, stream in zip((TorchByDLPack(torch), TorchLoaders(torch)), (plain, on_torch), streams):
        loader[0]
        with torch.cuda.stream(stream):
            torch.cuda._sleep(SLOW_CYCLES)
            found = [loader.batch(0, number) for number in range(4)]
            loader.close()
        torch.cuda.current_stream().wait_stream(stream)
        assert_equal(way, batches_of(way, found), wanted)


def test_nothing_waits_for_the_device(torch, data):
    draw = negpipe.NegativeSampler(data, seed=7)
    users = torch.arange(50, device="cuda")
    train = negpipe.torch.TrainLoader(data, BATCH_SIZE, device="cuda")
    rows = negpipe.torch.EvalLoader(data, 126, num_negatives=20, device="cuda")

    def use_all():
        users_of_batch, items, _ = train[0]
        draw.sample(users_of_batch, 4, distinct=True, exclude=items[:, None])
        draw.contains(users[:, None], items)
        draw.log_q(users[:, None], items)
        train.fill_(0, 1, train[2])
        return rows[0]

    kept = use_all()
    torch.cuda.synchronize()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.cuda._sleep(20 * SLOW_CYCLES)
        kept = use_all(), kept
        assert not torch.cuda.current_stream().query(), "a call waited"
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    draw.check()


def test_a_data_loader_passes_batches_on(torch, data):
    way = TorchLoaders(torch)
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1)
    batches = torch.utils.data.DataLoader(device, batch_size=None)
    for epoch in range(2):
        device.set_epoch(epoch)
        assert_equal(way, batches, cpu.epoch(epoch))


def test_a_captured_step_makes_batch_after_batch(torch, data):
    way = TorchLoaders(torch)
    device, cpu = both(way, "TrainLoader", data, BATCH_SIZE, seed=1)
    draw = negpipe.NegativeSampler(data, seed=7)
    replay = device.replay()
    at = torch.zeros(1, dtype=torch.int64, device="cuda")

    def step():
        users, _, _ = replay.fill_next()
        at.add_(1)
        return draw.sample(users, 4, at=at)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        negatives = step()
    replay.seek(0, 1)
    at.fill_(10)
    for number in range(1, len(cpu) + 2):
        graph.replay()
        batch = cpu.batch(*divmod(number, len(cpu)))
        assert_equal(way, [(*replay.batch, negatives)], [(*batch, draw.sample(batch[0], 4, at=10 + number))])
    assert replay.position() == (1, 2)


def test_metrics_and_masks_on_the_device_are_those_of_the_cpu(torch, data):
    scores = torch.rand((50, data.num_items), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = []
    for where in ("cpu", "cuda"):
        masked = data.mask_positives_(scores.to(where, copy=True), np.arange(50))
        full = FullRankingMetrics(k=(5, 20))
        full.update(masked, data.heldout_items)
        ranking = RankingMetrics(k=(1, 10), num_neg=20)
        for users, items, mask in negpipe.torch.EvalLoader(data, 126, num_negatives=20, device=where):
            ranking.update(scores.to(where)[users, items], mask)
        found.append((masked.cpu(), full.totals.cpu(), ranking.totals.cpu()))
    assert all(torch.allclose(*pair, rtol=1e-12) for pair in zip(*found))

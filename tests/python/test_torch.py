"""negpipe.torch: tensors without a copy, DataLoader workers, ranks under torchrun, states of other loaders."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")

import negpipe  # noqa: E402
import negpipe.torch  # noqa: E402
from negpipe import _torch_negatives  # noqa: E402
from negpipe import errors  # noqa: E402

BATCH_SIZE = 504


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)


@pytest.fixture
def loader(data):
    with negpipe.torch.TrainLoader(data, BATCH_SIZE, seed=42) as made:
        yield made


@pytest.fixture(scope="module")
def epoch(data):
    """Epoch 0 as NumPy arrays."""
    return [tuple(map(np.array, batch)) for batch in negpipe.TrainLoader(data, BATCH_SIZE, seed=42).epoch(0)]


def assert_equal(found, wanted):
    found = list(found)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted):
        assert all(isinstance(column, torch.Tensor) for column in ours)
        assert all(np.array_equal(a.numpy(), b) for a, b in zip(ours, theirs))


def test_tensors_share_the_memory_of_the_batch(data, loader, epoch):
    assert_equal(loader, epoch)
    users, items, labels = loader[0]
    assert (users.dtype, items.dtype, labels.dtype) == (torch.int32, torch.int32, torch.float32)
    array = negpipe.TrainLoader(data, BATCH_SIZE)[0][0]
    assert torch.from_dlpack(array).data_ptr() == torch.from_numpy(array).data_ptr() == array.ctypes.data
    masks = negpipe.torch.TrainLoader(data, BATCH_SIZE, padding="mask", as_dict=True)[0]["valid_point_mask"]
    assert masks.dtype == torch.bool and labels[masks].shape == labels.shape


def test_kept_tensors_do_not_change(loader, epoch):
    kept = list(loader)
    for _ in range(3):
        for _ in loader:
            pass
    loader.close()
    assert_equal(kept, epoch)


def test_tensors_of_the_caller_are_filled(loader, epoch):
    out = [torch.zeros_like(column) for column in loader[0]]
    addresses = [column.data_ptr() for column in out]
    loader.fill_(0, 3, out)
    assert_equal([out], epoch[3:4])
    assert [column.data_ptr() for column in out] == addresses


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_of_a_data_loader_share_the_batches_in_order(data, epoch, workers):
    loader = negpipe.torch.TrainLoader(data, BATCH_SIZE, seed=42)
    batches = torch.utils.data.DataLoader(loader, batch_size=None, num_workers=workers)
    assert_equal(batches, epoch)
    rows = negpipe.torch.EvalLoader(data, 210, num_negatives=20)
    batches = torch.utils.data.DataLoader(rows, batch_size=None, num_workers=workers)
    assert_equal(batches, [tuple(column.numpy() for column in batch) for batch in rows])


def test_epochs_under_workers_are_those_that_set_epoch_names(data):
    loader = negpipe.torch.TrainLoader(data, BATCH_SIZE, seed=42)
    batches = torch.utils.data.DataLoader(loader, batch_size=None, num_workers=2)
    for number in range(2):
        loader.set_epoch(number)
        wanted = [loader.batch(number, i) for i in range(len(loader))]
        assert_equal(batches, [tuple(column.numpy() for column in batch) for batch in wanted])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("delivered", [1, 4, 7])
def test_a_stateful_data_loader_resumes(data, epoch, workers, delivered):
    stateful = pytest.importorskip("torchdata.stateful_dataloader")

    def batches():
        loader = negpipe.torch.TrainLoader(data, BATCH_SIZE, seed=42)
        return stateful.StatefulDataLoader(loader, batch_size=None, num_workers=workers)

    stopped = batches()
    iterator = iter(stopped)
    for _ in range(delivered):
        next(iterator)
    state = stopped.state_dict()
    resumed = batches()
    resumed.load_state_dict(state)
    assert_equal(resumed, epoch[delivered:])


def test_a_state_of_the_main_process_resumes_under_workers(data, loader, epoch):
    iterator = iter(loader)
    for _ in range(5):
        next(iterator)
    resumed = negpipe.torch.TrainLoader(data, BATCH_SIZE, seed=42)
    resumed.load_state_dict(loader.state_dict())
    assert_equal(torch.utils.data.DataLoader(resumed, batch_size=None, num_workers=2), epoch[5:])


SHARE = """
import sys, torch, torch.distributed as distributed
import negpipe, negpipe.torch
data = negpipe.Dataset.load(sys.argv[1])
loader = negpipe.torch.TrainLoader(data, 504, seed=42)
distributed.init_process_group("gloo")
assert loader.ranks.world_size == distributed.get_world_size() == 2
for number, batch in enumerate(loader.epoch(0)):
    for column in batch:
        parts = [torch.empty_like(column) for _ in range(2)]
        distributed.all_gather(parts, column)
        assert torch.equal(torch.cat(parts), negpipe.torch.TrainLoader(data, 504, seed=42, rank=0, world_size=1)
                           .batch(0, number)[[c is column for c in batch].index(True)])
if distributed.get_rank() == 0:
    print("equal", number + 1)
distributed.destroy_process_group()
"""


def test_two_ranks_under_torchrun_share_each_batch(data, tmp_path, loader):
    data.save(tmp_path / "dataset")
    (tmp_path / "share.py").write_text(SHARE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    outcome = subprocess.run([*torchrun, tmp_path / "share.py", tmp_path / "dataset"], capture_output=True, text=True,
                             check=False, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == f"equal {len(loader)}"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_rows_of_shards_are_copied_to_a_device(data, tmp_path, monkeypatch):
    data.save(tmp_path / "sharded", shards=2)
    monkeypatch.setattr(negpipe.torch, "find_device", lambda device: torch.device("meta"))  # in place of a GPU
    loader = negpipe.torch.EvalLoader(negpipe.Shards(tmp_path / "sharded"), seed=1, num_negatives=5)
    assert {column.device.type for column in next(iter(loader))} == {"meta"}


def test_a_change_in_place_concerns_no_other_batch_of_a_group():
    first, second = negpipe.torch._batches([torch.ones(2, 3)])
    weights = torch.ones(3, requires_grad=True)
    loss = (first[0] * weights).sum()
    second[0].mul_(0.5)
    loss.backward()  # refused if the second shared the first's version
    assert weights.grad.tolist() == [1, 1, 1]
    assert second[0].mul_(weights).requires_grad


SHAPES = [(), (1,), (3,), (1, 1), (2, 1), (1, 3), (2, 3), (2, 1, 1), (2, 1, 3), (0,), (0, 1), (1, 0)]


@pytest.mark.parametrize("users", SHAPES)
@pytest.mark.parametrize("items", SHAPES)
def test_look_ups_on_a_device_take_shapes_that_broadcast(users, items):
    try:
        expected = tuple(torch.broadcast_shapes(users, items))
    except RuntimeError:
        with pytest.raises(RuntimeError):
            _torch_negatives._lookup(torch.zeros(users), torch.zeros(items))
        return
    assert _torch_negatives._lookup(torch.zeros(users), torch.zeros(items))[2] == expected


def test_without_a_device_cuda_is_refused_with_the_reason(data):
    assert negpipe.torch.TrainLoader(data, BATCH_SIZE).device.type == "cpu"
    with pytest.raises(errors.BackendError, match="finds no CUDA device"):
        negpipe.torch.TrainLoader(data, BATCH_SIZE, device="cuda")
    with pytest.raises(errors.OptionError, match="expected cpu or cuda"):
        negpipe.torch.TrainLoader(data, BATCH_SIZE, device="meta")


def test_the_extension_module_links_no_torch():
    native = negpipe.torch._native.__file__
    needed = subprocess.run(["ldd", native], capture_output=True, text=True, check=True).stdout
    assert "torch" not in needed and pathlib.Path(native).exists()

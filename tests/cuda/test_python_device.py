"""Batches of the Python package in the memory of a CUDA device: the bytes of the CPU, handed over by DLPack and
__cuda_array_interface__.

Frameworks find no device on ptxrun, so that capsules are read and memory is copied by ctypes. The memory and streams
that PyTorch provides come from the CUDA runtime that the extension module uses.
"""

import ctypes
import os

import numpy as np
import pytest
from frameworks import BATCH_SIZE
from frameworks import cuda as cuda, data as data

import negpipe
from negpipe import _native, errors


def check(status):
    assert status == 0, f"CUDA error {status}"


class Tensors:
    """Device memory of the shapes and dtypes of a source's columns, its scratch memory, and a stream."""

    def __init__(self, cuda, source):
        self._cuda = cuda
        self.stream = ctypes.c_void_p()
        check(cuda.cudaStreamCreate(ctypes.byref(self.stream)))
        self._columns = [(shape, np.dtype(dtype)) for _, shape, dtype in source.columns]
        self.addresses = [self._allocate(int(np.prod(shape)) * dtype.itemsize) for shape, dtype in self._columns]
        self.scratch = self._allocate(source.scratch_bytes)

    def _allocate(self, count):
        pointer = ctypes.c_void_p()
        check(self._cuda.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(max(count, 1))))
        return pointer.value

    def arrays(self):
        check(self._cuda.cudaStreamSynchronize(self.stream))
        found = [np.empty(shape, dtype) for shape, dtype in self._columns]
        for array, address in zip(found, self.addresses):
            check(self._cuda.cudaMemcpy(ctypes.c_void_p(array.ctypes.data), ctypes.c_void_p(address),
                                        ctypes.c_size_t(array.nbytes), 2))  # from device to host
        return found


def assert_equal(found, wanted):
    for ours, theirs in zip(found, wanted, strict=True):
        ours = np.asarray(ours)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        assert np.array_equal(ours, theirs)


def pair_of(make, **options):
    """A loader on the CPU and one on the device."""
    return make(**options), make(device="cuda", **options)


# ---- the bytes


@pytest.mark.parametrize("layout", ["pointwise", "pairwise"])
@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_training_batches_are_those_of_the_cpu(data, padding, layout):
    for rank, types in [(0, {}), (1, {"user_dtype": "int64", "item_dtype": "int64", "label_dtype": "int64"}),
                        (2, {"item_dtype": "uint16", "label_dtype": "int8"})]:
        cpu, device = pair_of(lambda **options: negpipe.TrainLoader(data, BATCH_SIZE, **options), seed=42,
                              padding=padding, layout=layout, rank=rank, world_size=3, **types)
        assert len(device) == len(cpu)
        for epoch, number in [(0, 0), (3, 1), (2**32 - 1, len(cpu) - 1)]:
            assert_equal(device.batch(epoch, number), cpu.batch(epoch, number))


@pytest.mark.parametrize("layout", ["pointwise", "pairwise"])
@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_training_batches_of_shards_are_those_of_the_cpu(data, padding, layout, tmp_path):
    data.save(tmp_path / "data", shards=4)
    shards = negpipe.Shards(tmp_path / "data")
    for rank, types in [(0, {}), (1, {"user_dtype": "int64", "item_dtype": "int64", "label_dtype": "int64"})]:
        cpu, device = pair_of(lambda **options: negpipe.TrainLoader(shards, BATCH_SIZE, **options), seed=42,
                              padding=padding, layout=layout, rank=rank, world_size=2, **types)
        for found, wanted in zip(device.epoch(3), cpu.epoch(3), strict=True):
            assert_equal(found, wanted)
    options = {"distribution": "popularity", "padding": padding, "layout": layout}
    cpu, device = pair_of(lambda **more: negpipe.TrainLoader(shards, BATCH_SIZE, **options, **more))
    assert_equal(device.batch(0, len(cpu) - 1), cpu.batch(0, len(cpu) - 1))


def test_evaluation_of_shards_on_a_device_is_refused(data, tmp_path):
    data.save(tmp_path / "data", shards=2)
    with pytest.raises(errors.OptionError, match="device='cuda', but rows of shards are made on the CPU"):
        negpipe.EvalLoader(negpipe.Shards(tmp_path / "data"), device="cuda")


@pytest.mark.parametrize("prefetch", [0, 3])
def test_an_epoch_is_that_of_the_cpu(data, prefetch):
    cpu, device = pair_of(lambda **options: negpipe.TrainLoader(data, BATCH_SIZE, seed=1, **options))
    batches = list(device.epoch(2))  # all stay in use
    assert len(batches) == len(cpu)
    for found, wanted in zip(batches, cpu.epoch(2)):
        assert_equal(found, wanted)
    iterator = device.epoch(0)
    next(iterator)
    assert device.state_dict() == {**cpu.state_dict(), "epoch": 0, "batch": 1}
    iterator.close()
    assert next(iterator, None) is None


@pytest.mark.parametrize("options", [
    {"num_negatives": 20},
    {"num_negatives": 20, "user_dtype": "int64", "item_dtype": "int64"},
    {"num_negatives": 41, "mlperf": True},
    {"num_negatives": 4200, "mlperf": True},  # its masks need a workspace
    {"num_negatives": 290, "infeasible": "fewer"},
    {"num_negatives": 20, "distribution": "popularity"},
    {"num_negatives": 290, "infeasible": "fewer", "weights": np.arange(300) % 3},
    {"num_negatives": 41, "mlperf": True, "distribution": "popularity", "alpha": 0.5},
])
def test_evaluation_rows_are_those_of_the_cpu(data, options):
    options = {"batch_size": 6 * (options["num_negatives"] + 1), "seed": 5, **options}
    for rank in range(3):
        cpu, device = pair_of(lambda **more: negpipe.EvalLoader(data, rank=rank, world_size=3, **more), **options)
        assert len(device) == len(cpu)  # the last batch has only padding for some ranks
        for found, wanted in list(zip(device, cpu))[:: 1 if options["num_negatives"] < 100 else 8]:
            assert_equal(found, wanted)
        assert_equal(device[-1], cpu[-1])


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@pytest.mark.parametrize("mlperf", [False, True])
@pytest.mark.parametrize("split", ["test", "validation"])
def test_either_held_out_set_is_evaluated(split, mlperf, distribution):
    rows = np.random.default_rng(1).integers(0, [30, 60], (600, 2))
    data = negpipe.Dataset.from_arrays(*rows.T, np.arange(600), split="leave-two-out", duplicates="first")
    options = {"batch_size": 80, "num_negatives": 9, "split": split, "mlperf": mlperf, "distribution": distribution}
    cpu, device = pair_of(lambda **more: negpipe.EvalLoader(data, **more), **options)
    for found, wanted in zip(device, cpu, strict=True):
        assert_equal(found, wanted)


# ---- arrays for frameworks


class DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64))]


def tensor_in(capsule):
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return DLTensor.from_address(get(capsule, b"dltensor"))


def test_arrays_speak_the_protocols_without_a_copy(data, cuda):
    array = negpipe.TrainLoader(data, BATCH_SIZE, device="cuda")[0][2]
    assert (array.shape, array.dtype, array.device, len(array)) == ((BATCH_SIZE,), np.float32, "cuda:0", BATCH_SIZE)
    assert repr(array) == "DeviceArray((504,), float32, cuda:0)"
    interface = array.__cuda_array_interface__
    assert (interface["version"], interface["shape"], interface["typestr"]) == (3, (BATCH_SIZE,), "<f4")
    assert interface["strides"] is None and interface["stream"] > 2
    stream = ctypes.c_void_p()
    check(cuda.cudaStreamCreate(ctypes.byref(stream)))
    assert array.__dlpack_device__() == (2, 0)
    for one in (None, 1, 2, -1, stream.value):
        capsule = array.__dlpack__(stream=one)
        tensor = tensor_in(capsule)
        assert (tensor.data, tensor.device_type, tensor.device_id) == (interface["data"][0], 2, 0)
        assert (tensor.ndim, tensor.shape[0], tensor.code, tensor.bits) == (1, BATCH_SIZE, 2, 32)
    assert "dltensor_versioned" in repr(array.__dlpack__(max_version=(1, 0)))
    address, values = interface["data"][0], np.asarray(array)
    del array
    found = np.empty(BATCH_SIZE, np.float32)  # the capsule keeps the memory
    check(cuda.cudaMemcpy(ctypes.c_void_p(found.ctypes.data), ctypes.c_void_p(address), found.nbytes, 2))
    assert np.array_equal(found, values)


def test_arrays_are_copied_to_the_host_on_request_only(data):
    array = negpipe.TrainLoader(data, BATCH_SIZE, device="cuda")[0][1]
    host = np.asarray(array)
    assert np.array_equal(np.asarray(array, np.float64), host)
    assert np.array_equal(np.from_dlpack(array, device="cpu", copy=True), host)
    with pytest.raises(ValueError, match="copy=False"):
        np.array(array, copy=False)
    for refused in ({"stream": 0}, {"stream": -2}, {"copy": True}, {"dl_device": (2, 1)}):
        with pytest.raises((ValueError, BufferError)):
            array.__dlpack__(**refused)


# ---- memory of the caller, as negpipe.torch uses it


def test_memory_of_the_caller_is_filled_on_its_stream(data, cuda):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, padding="mask")
    source = _native.training_device_source(loader._sampler, 0, 1, 0, **loader._dtypes)
    assert source.names == ("user_id", "item_id", "labels", "valid_point_mask")
    assert source.batch_count == len(loader) and source.scratch_bytes >= BATCH_SIZE
    tensors = Tensors(cuda, source)
    for number in (0, len(loader) - 1):
        source.fill_at(3, number, tensors.addresses, tensors.scratch, tensors.stream.value)
        assert_equal(tensors.arrays(), loader.batch(3, number))
    with pytest.raises(errors.OptionError, match="3 addresses given; expected 4"):
        source.fill_at(0, 0, tensors.addresses[:3], tensors.scratch, tensors.stream.value)
    host = [np.zeros(BATCH_SIZE, dtype).ctypes.data for _, _, dtype in source.columns]
    with pytest.raises(errors.OptionError, match="host memory"):
        source.fill_at(0, 0, host, tensors.scratch, tensors.stream.value)


class Batches:
    """A source of several batches at once, which lie one after the other in its columns."""

    def __init__(self, source, count):
        self.columns = [(name, (count, *shape), dtype) for name, shape, dtype in source.columns]
        self.scratch_bytes = count * source.scratch_bytes


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("ranks", [(0, 1), (1, 2)])
@pytest.mark.parametrize("options", [
    {},
    {"padding": "mask", "user_dtype": "int64", "item_dtype": "uint16"},
    {"layout": "pairwise", "padding": "drop", "item_dtype": "int64"},
])
def test_several_batches_are_filled_at_once(data, cuda, options, ranks, step):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, rank=ranks[0], world_size=ranks[1], **options)
    source = _native.training_device_source(loader._sampler, *ranks, 0, **loader._dtypes)
    numbers = range(0, len(loader), step)  # with the first and the last, which resample padding swaps
    tensors = Tensors(cuda, Batches(source, len(numbers)))
    source.fill_at(1, 0, tensors.addresses, tensors.scratch, tensors.stream.value, count=len(numbers), step=step)
    for batch, *found in zip(numbers, *tensors.arrays()):
        assert_equal(found, loader.batch(1, batch))


def test_rows_of_several_batches_are_filled_at_once(data, cuda):
    loader = negpipe.EvalLoader(data, 6 * 4201, num_negatives=4200, mlperf=True, user_dtype="int64")
    source = _native.evaluation_device_source(loader._sampler, 0, 1, 0, **loader._dtypes)
    tensors = Tensors(cuda, Batches(source, len(loader)))
    source.fill_at(0, 0, tensors.addresses, tensors.scratch, tensors.stream.value, count=len(loader))
    for batch, *found in zip(range(len(loader)), *tensors.arrays()):
        assert_equal(found, loader[batch])


def test_arrays_of_the_caller_are_filled(data):
    cpu, device = pair_of(lambda **options: negpipe.TrainLoader(data, BATCH_SIZE, seed=2, **options))
    out = device[0]
    assert device.fill_(1, 3, out) is out
    assert_equal(out, cpu.batch(1, 3))
    with pytest.raises(errors.OptionError, match="2 arrays given; expected 3"):
        device.fill_(0, 0, out[:2])
    with pytest.raises(errors.OptionError, match="not in the memory of cuda:0"):
        device.fill_(0, 0, cpu[0])
    with pytest.raises((errors.OptionError, TypeError)):
        cpu.fill_(0, 0, out)


@pytest.mark.parametrize("types", [{}, {"user_dtype": "int64", "item_dtype": "uint16", "label_dtype": "int8"}])
@pytest.mark.parametrize("ranks", [(0, 1), (1, 2)])
def test_a_replay_makes_one_batch_after_the_other(data, cuda, ranks, types):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, rank=ranks[0], world_size=ranks[1], **types)
    last = len(loader) - 1
    replay = _native.replay(loader._sampler, *ranks, 0, **loader._dtypes, epoch=4, batch=last)
    tensors = Tensors(cuda, replay)
    stream = tensors.stream.value
    for epoch, batch in [(4, last), (5, 0), (5, 1)]:
        assert replay.position(stream) == (epoch, batch)
        replay.fill_next(tensors.addresses, tensors.scratch, stream)
        assert_equal(tensors.arrays(), loader.batch(epoch, batch))
    replay.seek(0, 2, stream)
    replay.fill_next(tensors.addresses, tensors.scratch, stream)
    assert_equal(tensors.arrays(), loader.batch(0, 2))
    with pytest.raises(errors.OptionError, match="batch"):
        replay.seek(0, last + 1, stream)


@pytest.mark.parametrize("layout", ["pointwise", "pairwise"])
def test_weighted_negatives_are_those_of_the_cpu(data, layout):
    options = {"layout": layout, "distribution": "popularity", "alpha": 0.75, "seed": 4}
    wanted = negpipe.TrainLoader(data, BATCH_SIZE, **options).batch(1, 0)
    made = negpipe.TrainLoader(data, BATCH_SIZE, device="cuda", **options).batch(1, 0)
    assert_equal([np.asarray(column) for column in made], wanted)


# ---- refusals


def test_what_a_device_cannot_do_is_refused(data):
    with pytest.raises(errors.OptionError, match="cuda:99|99 does not exist"):
        negpipe.TrainLoader(data, BATCH_SIZE, device="cuda:99")[0]
    with pytest.raises(errors.OptionError, match="layout"):
        pairs = negpipe.TrainLoader(data, BATCH_SIZE, layout="pairwise")
        _native.replay(pairs._sampler, 0, 1, 0, **pairs._dtypes, epoch=0, batch=0)


def test_a_forked_process_is_refused(data):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, device="cuda")
    loader[0]
    child = os.fork()
    if child == 0:
        try:
            loader[1]
        except errors.ForkError as refused:
            os._exit(7 if "spawn" in str(refused) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

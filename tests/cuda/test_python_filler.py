"""_native.DeviceFiller, what negpipe.torch fills CUDA tensors with: the bytes of the CPU, on a stream of the caller.

PyTorch's allocator and stream are stood in for by calls of the CUDA runtime that the extension module uses.
"""

import ctypes

import numpy as np
import pytest

import negpipe
from negpipe import _native, errors

BATCH_SIZE = 504


@pytest.fixture(scope="module")
def cuda():
    return ctypes.CDLL("libcudart.so.13")


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)


def check(status):
    assert status == 0, f"CUDA error {status}"


def fill(cuda, fill_columns, epoch, batch, columns):
    """The columns of a batch, by way of device memory and a stream of this test. columns: arrays of the same shapes."""
    stream = ctypes.c_void_p()
    check(cuda.cudaStreamCreate(ctypes.byref(stream)))
    columns = [np.empty_like(column) for column in columns]
    memory = [ctypes.c_void_p() for _ in columns]
    for pointer, column in zip(memory, columns):
        check(cuda.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(column.nbytes)))
    fill_columns(epoch, batch, [pointer.value for pointer in memory], BATCH_SIZE, stream.value)
    check(cuda.cudaStreamSynchronize(stream))
    for column, pointer in zip(columns, memory):
        size = ctypes.c_size_t(column.nbytes)
        check(cuda.cudaMemcpy(column.ctypes.data_as(ctypes.c_void_p), pointer, size, 2))  # from device to host
        check(cuda.cudaFree(pointer))
    check(cuda.cudaStreamDestroy(stream))
    return columns


@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_batches_in_device_memory_are_those_of_the_cpu(cuda, data, padding):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, padding=padding, label_dtype="int8")
    filler = _native.training_filler(loader._sampler, 0)
    assert filler.batch_count == len(loader) and filler.description.startswith("cuda:0")
    for epoch in (0, 3):
        for number in (0, 1, len(loader) - 1):
            wanted = loader.batch(epoch, number)
            made = fill(cuda, filler.fill, epoch, number, wanted)
            assert all(np.array_equal(a, b) for a, b in zip(made, wanted)), (epoch, number)


@pytest.mark.parametrize("padding", ["resample", "mask", "drop"])
def test_pairwise_batches_in_device_memory_are_those_of_the_cpu(cuda, data, padding):
    loader = negpipe.TrainLoader(data, BATCH_SIZE, seed=42, padding=padding, num_negatives=5, layout="pairwise")
    filler = _native.training_filler(loader._sampler, 0)
    assert filler.batch_count == len(loader)
    for number in (0, len(loader) - 1):
        wanted = loader.batch(2, number)
        made = fill(cuda, filler.fill_pairs, 2, number, wanted)
        assert all(np.array_equal(a, b) for a, b in zip(made, wanted)), number
    with pytest.raises(errors.OptionError, match="layout"):
        fill(cuda, filler.fill, 0, 0, wanted)


def test_wrong_columns_and_devices_are_refused(cuda, data):
    loader = negpipe.TrainLoader(data, BATCH_SIZE)
    filler = _native.training_filler(loader._sampler, 0)
    host = np.zeros(BATCH_SIZE, np.int32)
    with pytest.raises(errors.OptionError):
        filler.fill(0, 0, [host.ctypes.data] * 3, BATCH_SIZE, 0)
    with pytest.raises(errors.OptionError, match="three or four addresses"):
        filler.fill(0, 0, [1], BATCH_SIZE, 0)
    with pytest.raises(errors.OptionError):
        _native.training_filler(loader._sampler, 99)

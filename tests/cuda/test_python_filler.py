"""_native.DeviceFiller, what negpipe.torch fills CUDA tensors with: the bytes of the CPU, on a stream of the caller.

PyTorch's allocator and stream are stood in for by calls of the CUDA runtime that the extension module uses.
"""

import ctypes

import numpy as np
import pytest

import negpipe
from negpipe import _native, errors

BATCH_SIZE = 504
TYPES = (np.int32, np.int32, np.int8, np.int8)


@pytest.fixture(scope="module")
def cuda():
    return ctypes.CDLL("libcudart.so.13")


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)


def check(status):
    assert status == 0, f"CUDA error {status}"


def fill(cuda, filler, epoch, batch, count):
    """The columns of a batch, by way of device memory and a stream of this test."""
    stream = ctypes.c_void_p()
    check(cuda.cudaStreamCreate(ctypes.byref(stream)))
    memory = [ctypes.c_void_p() for _ in range(count)]
    for pointer, kind in zip(memory, TYPES):
        check(cuda.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(BATCH_SIZE * np.dtype(kind).itemsize)))
    filler.fill(epoch, batch, [pointer.value for pointer in memory], BATCH_SIZE, stream.value)
    check(cuda.cudaStreamSynchronize(stream))
    columns = [np.empty(BATCH_SIZE, kind) for kind in TYPES[:count]]
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
            made = fill(cuda, filler, epoch, number, len(wanted))
            assert all(np.array_equal(a, b) for a, b in zip(made, wanted)), (epoch, number)


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

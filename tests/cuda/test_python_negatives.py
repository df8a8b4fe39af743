"""_native.DeviceNegatives, what NegativeSampler uses for tensors on a CUDA device: the bytes of the CPU.

PyTorch's tensors are stood in for by memory of the CUDA runtime that the extension module uses.
"""

import ctypes

import numpy as np
import pytest
from frameworks import cuda as cuda, data as data

import negpipe
from negpipe import _native, errors


def check(status):
    assert status == 0, f"CUDA error {status}"


class DeviceArray:
    """A copy of a NumPy array in device memory."""

    def __init__(self, cuda, array):
        self._cuda = cuda
        self._array = np.ascontiguousarray(array)
        self._memory = ctypes.c_void_p()
        check(cuda.cudaMalloc(ctypes.byref(self._memory), ctypes.c_size_t(max(1, self._array.nbytes))))
        self._copy(self._memory, self._array.ctypes.data_as(ctypes.c_void_p), 1)

    def __del__(self):
        check(self._cuda.cudaFree(self._memory))

    def _copy(self, to, source, kind):
        check(self._cuda.cudaMemcpy(to, source, ctypes.c_size_t(self._array.nbytes), kind))

    def numpy(self):
        copy = np.empty_like(self._array)
        self._copy(copy.ctypes.data_as(ctypes.c_void_p), self._memory, 2)
        return copy

    def set(self, array):
        self._array[...] = array
        self._copy(self._memory, self._array.ctypes.data_as(ctypes.c_void_p), 1)

    @property
    def address(self):
        return self._memory.value

    @property
    def array(self):
        """(address, number of values)"""
        return self.address, self._array.size

    @property
    def ids(self):
        return *self.array, self._array.dtype == np.int64


@pytest.fixture(scope="module")
def stream(cuda):
    handle = ctypes.c_void_p()
    check(cuda.cudaStreamCreate(ctypes.byref(handle)))
    yield handle.value
    check(cuda.cudaStreamDestroy(handle))


def on_device(sampler):
    return _native.device_negatives(sampler._native, bitset_budget=1 << 30, device=0)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_draws_in_device_memory_are_those_of_the_cpu(cuda, data, stream, dtype, distribution):
    sampler = negpipe.NegativeSampler(data, seed=7, distribution=distribution)
    native = on_device(sampler)
    assert native.description.startswith("cuda:0")
    users = np.where(np.arange(66) % 9 == 4, -1, np.arange(66) % 50).reshape(2, 33)
    exclude = np.arange(132).reshape(2, 33, 2) % 300
    for options in ({}, {"distinct": True}, {"exclude": exclude}, {"distinct": True, "exclude": exclude}):
        wanted = sampler.sample(users, 5, at=8, offset=3, **options)
        given, out = DeviceArray(cuda, users.astype(dtype)), DeviceArray(cuda, np.zeros_like(wanted))
        excluded = DeviceArray(cuda, exclude.astype(np.int32)) if "exclude" in options else None
        native.sample(
            given.ids, out.array, negatives=5, at=8, offset=3, distinct="distinct" in options,
            excluded=excluded and excluded.array, stream=stream
        )
        native.check(stream)
        assert np.array_equal(out.numpy(), wanted), options


def test_numbers_on_the_device_are_added_to_those_of_the_call(cuda, data, stream):
    sampler = negpipe.NegativeSampler(data, seed=7)
    native = on_device(sampler)
    out, at, offset = (DeviceArray(cuda, array) for array in (np.zeros(6, np.int32), [0], [0]))
    for step in (0, 5):
        at.set(step)
        offset.set(2 * step)
        native.sample(None, out.array, negatives=6, at=1, device_at=at.address, device_offset=offset.address,
                      stream=stream)
        native.check(stream)
        assert np.array_equal(out.numpy(), sampler.sample(None, 6, at=1 + step, offset=2 * step, shared=True))
    with pytest.raises(errors.OptionError, match="at"):
        native.sample(None, out.array, negatives=6, device_at=np.zeros(1, np.int64).ctypes.data, stream=stream)


def test_membership_in_device_memory_is_that_of_the_cpu(cuda, data, stream):
    sampler = negpipe.NegativeSampler(data)
    native = on_device(sampler)
    users, items = np.arange(-1, 50), np.arange(-2, 300)
    wanted = sampler.contains(users[:, None], items)
    for each, given in ((True, items), (False, np.broadcast_to(items, wanted.shape))):
        found = DeviceArray(cuda, np.full(wanted.shape, 7, np.uint8))
        rows, columns = DeviceArray(cuda, users), DeviceArray(cuda, given)
        native.contains(rows.ids, columns.ids, found.array, each=each, stream=stream)
        native.check(stream)
        assert np.array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_log_q_in_device_memory_is_that_of_the_cpu(cuda, data, stream, distribution):
    sampler = negpipe.NegativeSampler(data, distribution=distribution)
    native = on_device(sampler)
    users, items = np.arange(-1, 50), np.arange(-2, 300)
    wanted = sampler.log_q(users[:, None], items)
    for each, given in ((True, items), (False, np.broadcast_to(items, wanted.shape))):
        values = DeviceArray(cuda, np.full(wanted.shape, 7, np.float32))
        rows, columns = DeviceArray(cuda, users), DeviceArray(cuda, given)
        native.log_q(rows.ids, columns.ids, values.array, each=each, stream=stream)
        native.check(stream)
        assert values.numpy().tobytes() == wanted.tobytes()


def test_errors_of_kernels_are_raised_by_check_and_by_the_next_call(cuda, data, stream):
    native = on_device(negpipe.NegativeSampler(data))
    out = DeviceArray(cuda, np.zeros(4, np.int32))
    unknown = DeviceArray(cuda, [0, 50])
    native.sample(unknown.ids, out.array, negatives=2, stream=stream)
    with pytest.raises(errors.OutOfRangeError, match="index 1"):
        native.check(stream)
    native.sample(unknown.ids, out.array, negatives=2, stream=stream)
    check(cuda.cudaStreamSynchronize(ctypes.c_void_p(stream)))
    with pytest.raises(errors.OutOfRangeError, match="index 1"):
        native.sample(None, out.array, negatives=4, stream=stream)
    many = DeviceArray(cuda, np.zeros(301, np.int32))
    native.sample(None, many.array, negatives=301, distinct=True, stream=stream)
    with pytest.raises(errors.InfeasibleError, match="too few items"):
        native.check(stream)
    native.check(stream)


def test_arrays_elsewhere_and_of_other_sizes_are_refused(cuda, data, stream):
    native = on_device(negpipe.NegativeSampler(data))
    users, out, host = DeviceArray(cuda, [0, 1]), DeviceArray(cuda, np.zeros(4, np.int32)), np.zeros(4, np.int64)
    with pytest.raises(errors.OptionError, match="host memory"):
        native.sample((host.ctypes.data, 2, True), out.array, negatives=2, stream=stream)
    with pytest.raises(errors.OptionError, match="host memory"):
        native.sample(users.ids, (host.ctypes.data, 4), negatives=2, stream=stream)
    with pytest.raises(errors.OptionError, match="out"):
        native.sample(users.ids, out.array, negatives=3, stream=stream)
    with pytest.raises(errors.OptionError, match="device"):
        _native.device_negatives(negpipe.NegativeSampler(data)._native, bitset_budget=0, device=99)

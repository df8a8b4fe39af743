"""The CUDA runtime, PyTorch, JAX and CuPy on a CUDA device: fixtures, and the ways of a batch into their arrays.

A test is skipped, with the reason, where its framework is missing or finds no device, as on ptxrun.
"""

import ctypes
import os
import pathlib
import sysconfig

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of the device's memory

import numpy as np
import pytest

import negpipe
from negpipe import _native

BATCH_SIZE = 504
SLOW_CYCLES = 40_000_000  # of a kernel that delays its stream: about 20 ms


def usable(name):
    """The framework. Skips the test where it, or negpipe, finds no device."""
    for backend, works, reason in _native.backends():
        if backend == "cuda" and not works:
            pytest.skip(reason)
    module = pytest.importorskip(name)
    found = {
        "torch": lambda: module.cuda.is_available(),
        "jax": lambda: module.default_backend() == "gpu",
        "cupy": lambda: module.cuda.is_available(),
    }[name]()
    if not found:
        pytest.skip(f"{name} {module.__version__} finds no CUDA device")
    return module


@pytest.fixture(scope="module")
def cuda():
    """The runtime of the search path, else of NVIDIA's wheels, which PyTorch installs."""
    name = "libcudart.so.13"
    try:
        return ctypes.CDLL(name)
    except OSError:
        wheels = [*pathlib.Path(sysconfig.get_path("purelib")).glob(f"nvidia/cu13/lib/{name}")]
        if not wheels:
            pytest.skip(f"there is no {name}, neither in the search path nor in a wheel")
        return ctypes.CDLL(str(wheels[0]))


@pytest.fixture(scope="module")
def torch():
    module = usable("torch")
    import negpipe.torch

    return module


@pytest.fixture(scope="module")
def jax():
    module = usable("jax")
    import negpipe.jax

    return module


@pytest.fixture(scope="module")
def cupy():
    return usable("cupy")


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=300, interactions=1500, seed=3)


# ---- ways into a framework


class TorchLoaders:
    """negpipe.torch: memory of PyTorch."""

    def __init__(self, torch):
        import negpipe.torch

        self.torch, self.package = torch, negpipe.torch

    def convert(self, array):
        return array

    def is_on_device(self, array):
        return array.is_cuda and array.device.index == 0

    def numpy(self, array):
        return array.cpu().numpy()

    def read_late(self, arrays):
        """Copies of arrays, queued behind a slow kernel."""
        self.torch.cuda._sleep(SLOW_CYCLES)
        return [array.clone() for array in arrays]


class TorchByDLPack(TorchLoaders):
    """DeviceArrays in PyTorch: memory of negpipe."""

    def __init__(self, torch):
        super().__init__(torch)
        self.package = negpipe

    def convert(self, array):
        tensor = self.torch.from_dlpack(array)
        assert tensor.data_ptr() == array.__cuda_array_interface__["data"][0]
        return tensor


class JaxLoaders:
    """negpipe.jax: memory of negpipe."""

    def __init__(self, jax):
        import negpipe.jax

        self.jax, self.package = jax, negpipe.jax
        self._matrix = jax.numpy.eye(2048)
        product = jax.numpy.matmul

        @jax.jit
        def late(matrix, arrays):
            matrix = jax.lax.fori_loop(0, 150, lambda _, made: product(made, matrix), matrix)
            zero = matrix[0, 1]  # known only when all products are
            return [array ^ (zero > 1) if array.dtype == bool else array + zero.astype(array.dtype) for array in arrays]

        self._late = late

    def convert(self, array):
        return array

    def is_on_device(self, array):
        return array.devices() == {self.jax.devices("cuda")[0]}

    def numpy(self, array):
        return np.asarray(array)

    def read_late(self, arrays):
        return self._late(self._matrix, list(arrays))


class CuPyByDLPack:
    """DeviceArrays in CuPy."""

    def __init__(self, cupy):
        self.cupy, self.package = cupy, negpipe
        self._matrix = cupy.eye(2048, dtype=cupy.float32)

    def convert(self, array):
        made = self.cupy.from_dlpack(array)
        assert made.data.ptr == array.__cuda_array_interface__["data"][0]
        return made

    def is_on_device(self, array):
        return array.device.id == 0

    def numpy(self, array):
        return array.get()

    def read_late(self, arrays):
        for _ in range(40):
            self._matrix = self._matrix @ self._matrix
        return [array.copy() for array in arrays]


class CuPyByInterface(CuPyByDLPack):
    """The same by __cuda_array_interface__."""

    def convert(self, array):
        made = self.cupy.asarray(array)
        assert made.data.ptr == array.__cuda_array_interface__["data"][0]
        return made


WAYS = {"torch": TorchLoaders, "torch_dlpack": TorchByDLPack, "jax": JaxLoaders, "cupy_dlpack": CuPyByDLPack,
        "cupy_interface": CuPyByInterface}


@pytest.fixture(scope="module", params=WAYS)
def way(request):
    return WAYS[request.param](request.getfixturevalue(request.param.partition("_")[0]))


def batches_of(way, batches):
    return (tuple(way.convert(column) for column in batch) for batch in batches)


def assert_equal(way, found, wanted):
    """Tuples of arrays of the framework, and of NumPy arrays."""
    for ours, theirs in zip(found, wanted, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert way.is_on_device(a)
            a = way.numpy(a)
            assert (a.shape, a.dtype) == (b.shape, b.dtype) and np.array_equal(a, b)


def both(way, kind, data, *arguments, **options):
    """A loader on the device and one on the CPU."""
    return (getattr(way.package, kind)(data, *arguments, device="cuda", **options),
            getattr(negpipe, kind)(data, *arguments, **options))

"""NegativeSampler for tensors of PyTorch on a CUDA device, and for arrays of JAX and CuPy: the bytes of the CPU."""

import numpy as np
import pytest
from frameworks import SLOW_CYCLES, CuPyByDLPack, JaxLoaders, assert_equal
from frameworks import cupy as cupy, data as data, jax as jax, torch as torch

import negpipe
from negpipe import errors


def on_device(torch, array, dtype=None):
    return torch.from_numpy(np.array(array)).to("cuda", dtype)


@pytest.mark.parametrize("stream", ["default", "side"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_draws_are_those_of_the_cpu(torch, data, distribution, dtype, stream):
    draw = negpipe.NegativeSampler(data, seed=7, distribution=distribution)
    users = np.arange(66).reshape(2, 33) % 50
    if dtype != "uint8":
        users[0, ::7] = -1
    items = np.arange(132).reshape(2, 33, 2) % 300
    used = torch.cuda.current_stream() if stream == "default" else torch.cuda.Stream()
    used.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(used):
        given, other = on_device(torch, users, getattr(torch, dtype)), on_device(torch, items)
        torch.cuda._sleep(SLOW_CYCLES)
        for options in ({}, {"distinct": True}, {"exclude": items}, {"distinct": True, "exclude": items},
                        {"shared": True}, {"shared": True, "distinct": True}):
            more = {**options, **({"exclude": other} if "exclude" in options else {})}
            found = draw.sample(given, 5, at=8, offset=3, **more)
            wanted = draw.sample(users, 5, at=8, offset=3, **options)
            assert found.is_cuda and found.dtype == torch.int32
            assert np.array_equal(found.cpu().numpy(), wanted), options
        for name in ("contains", "log_q"):
            look = getattr(draw, name)
            for a, b in (((given[..., None], other), (users[..., None], items)),
                         ((given.reshape(-1, 1), other[0, 0]), (users.reshape(-1, 1), items[0, 0]))):
                found, wanted = look(*a), look(*b)
                assert found.is_cuda and found.cpu().numpy().tobytes() == np.ascontiguousarray(wanted).tobytes(), name
        draw.check()


def test_errors_of_kernels_are_raised_later(torch, data):
    draw = negpipe.NegativeSampler(data)
    found = draw.sample(on_device(torch, [0, 50]), 2)
    with pytest.raises(errors.OutOfRangeError, match="index 1"):
        draw.check()
    assert found[1].tolist() == [-1, -1]
    draw.sample(on_device(torch, [0, 1]), 2)
    draw.check()
    with pytest.raises(errors.OptionError, match="at"):
        draw.sample(on_device(torch, [0]), 1, at=on_device(torch, [1, 2]))
    with pytest.raises(errors.OptionError, match="integers"):
        draw.sample(torch.zeros(2, device="cuda"), 1)


def test_samplers_in_use_are_dropped_safely(torch, data):
    users = on_device(torch, np.arange(50))
    wanted = negpipe.NegativeSampler(data, seed=7).sample(np.arange(50), 4)
    torch.cuda._sleep(SLOW_CYCLES)
    found = negpipe.NegativeSampler(data, seed=7).sample(users, 4)
    assert np.array_equal(found.cpu().numpy(), wanted)


@pytest.mark.parametrize("name", ["jax", "cupy"])
def test_other_arrays_get_results_of_their_kind_on_their_device(request, data, name):
    framework = request.getfixturevalue(name)
    way = {"jax": JaxLoaders, "cupy": CuPyByDLPack}[name](framework)
    space = framework.numpy if name == "jax" else framework
    draw = negpipe.NegativeSampler(data, seed=7)
    users, items = np.arange(50, dtype=np.int32), np.arange(100, dtype=np.int32)
    given, other = space.asarray(users), space.asarray(items)
    assert_equal(way, [(draw.sample(given, 3), draw.contains(given[:, None], other),
                        draw.log_q(given[:, None], other))],
                 [(draw.sample(users, 3), draw.contains(users[:, None], items), draw.log_q(users[:, None], items))])

"""Loaders whose batches are JAX arrays.

On the CPU arrays share the memory of the batch: nothing is copied. Elsewhere they are put on the device, or over the
devices of a sharding.

    loader = negpipe.jax.TrainLoader(data, batch_size=65_536, seed=1)
    for users, items, labels in loader.epoch(0):
        ...
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from negpipe import errors, eval_loader, loader, masking, train_loader

Batch = loader.Batch


def mask_positives(data, scores: jax.Array, users, also: str | None = None) -> jax.Array:
    """Returns scores with minus infinity at each user's training positives, on the device of scores.

    scores: [n, num_items], floating point. users: integers [n], known outside jit; row i holds the scores of user
    users[i]. also: "validation" or "test" masks the user's items of this set too. Compiled once for each power of two
    that the number of masked items comes near.

    Raises OutOfRangeError (an IndexError), OptionError (a ValueError).
    """
    if not jnp.issubdtype(scores.dtype, jnp.floating):
        raise errors.OptionError(f"`scores` is {scores.dtype}; expected a floating-point type")
    users = masking.users_of_rows(data, users, scores.shape)
    rows, items = masking.positions(data, users, None if also is None else masking.checked_set(data, also, "also"))
    size = 1 << max(len(rows) - 1, 0).bit_length()
    index = np.full((2, size), np.iinfo(np.int32).max, np.int32)  # what lies outside is dropped
    index[:, : len(rows)] = rows, items
    return _mask(scores, index)


@jax.jit
def _mask(scores, index):
    return scores.at[index[0], index[1]].set(-jnp.inf, mode="drop")


class _OnJax:
    """Turns arrays into those of JAX."""

    def __init__(self, dataset, batch_size=None, *, sharding: jax.sharding.Sharding | None = None, **options):
        """device="cuda": batches are made in the device's memory, and JAX takes them over without a copy.
        sharding: how the global batch lies over the devices of all processes; each process gives its part of the
        batch, and arrays have the global shape. Without it arrays are on JAX's default device.
        """
        if not jax.config.jax_enable_x64:
            for name in ("user_dtype", "item_dtype", "label_dtype"):
                if options.get(name) == "int64":
                    raise errors.OptionError(f"`{name}`: int64 needs jax.config.update('jax_enable_x64', True)")
        if sharding is not None and options.get("device", "cpu") not in ("auto", "cpu"):
            raise errors.OptionError("a sharding is made of host memory; leave `device` out")
        self.sharding = sharding
        super().__init__(dataset, *(() if batch_size is None else (batch_size,)), **options)

    def _convert(self, arrays) -> Batch:
        return self._as_batch(tuple(map(self._put, arrays)))

    def _put(self, array):
        if self.sharding is not None:
            return jax.make_array_from_process_local_data(self.sharding, array)
        if self._cuda is not None:
            lent = jax.dlpack.from_dlpack(array)
            if jax.__version_info__ >= (0, 11):
                return lent
            # Older versions may drop memory that they were lent while computations that read it are queued.
            return jnp.array(lent, copy=True).block_until_ready()
        if jax.default_backend() == "cpu":
            return jax.dlpack.from_dlpack(array)
        return jax.device_put(array)


class TrainLoader(_OnJax, train_loader.TrainLoader):
    """negpipe.TrainLoader with JAX arrays: the same arguments, batches and state, and sharding."""


class EvalLoader(_OnJax, eval_loader.EvalLoader):
    """negpipe.EvalLoader with JAX arrays: the same arguments and batches, and sharding."""


class GrainSource:
    """The batches of so many epochs as a Grain RandomAccessDataSource: element i is a whole batch.

    Read it in order, without shuffling, sharding or batching: batches are shuffled and shared among ranks already.
    """

    def __init__(self, batches: train_loader.TrainLoader, epochs: int, first_epoch: int = 0):
        self._batches = batches
        self._epochs = range(first_epoch, first_epoch + epochs)

    def __len__(self) -> int:
        return len(self._epochs) * len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        if not -len(self) <= index < len(self):
            raise errors.OutOfRangeError(f"there is no batch {index}: the source has {len(self)}")
        epoch, number = divmod(index % len(self), len(self._batches))
        return self._batches.batch(self._epochs[epoch], number)

    def __repr__(self) -> str:
        return f"GrainSource({self._batches!r}, epochs {self._epochs.start} to {self._epochs.stop - 1})"

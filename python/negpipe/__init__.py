"""Exact, reproducible training and evaluation data for recommenders.

Dataset, TrainLoader and EvalLoader make batches in this process; NegativeSampler draws negatives for the users of your
own batches. negpipe.torch and negpipe.jax hand batches to these frameworks, negpipe.tf feeds TensorFlow from record
files, negpipe.metrics judges scores, negpipe.records reads record files.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from negpipe import errors as errors
from negpipe.errors import Error as Error

if TYPE_CHECKING:
    from negpipe.dataset import Dataset as Dataset
    from negpipe.eval_loader import EvalLoader as EvalLoader
    from negpipe.negatives import NegativeSampler as NegativeSampler
    from negpipe.shards import Shards as Shards
    from negpipe.train_loader import TrainLoader as TrainLoader

__version__ = "0.1.0"
__all__ = ["Dataset", "Error", "EvalLoader", "NegativeSampler", "Shards", "TrainLoader", "errors"]

# Imported at first use: modules that only run the program or read records need no extension module.
_HOMES = {
    "Dataset": "negpipe.dataset",
    "EvalLoader": "negpipe.eval_loader",
    "NegativeSampler": "negpipe.negatives",
    "Shards": "negpipe.shards",
    "TrainLoader": "negpipe.train_loader",
}


def __getattr__(name: str):
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'negpipe' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})

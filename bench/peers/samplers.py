"""Negative samplers of other projects behind one interface, for bench/compare_peers.

A class loads a dataset in its constructor, which is not measured. start_epoch() does the project's work per epoch;
blocks() yields (users, items) of negatives, or (users, items, labels) of points, until the epoch ends. Both are
measured, and call the project as its users do.

project, package   the name of the project, and of its distribution on PyPI
calls              what is measured
makes              "points": shuffled batches of positives and negatives; "negatives": only negatives
note               what a reader of the results must know
"""

import glob
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import types

import numpy as np

NEGATIVES = 4
BATCH = 65_536


class Data:
    """The arrays of a dataset that `negpipe prepare` or `negpipe synth` wrote."""

    def __init__(self, folder):
        self.folder = folder
        self.offsets = np.load(os.path.join(folder, "user_offsets.npy"))
        self.items = np.load(os.path.join(folder, "positive_items.npy"))
        with open(os.path.join(folder, "dataset.json")) as f:
            self.item_count = json.load(f)["items"]
        self.user_count = len(self.offsets) - 1
        self.degrees = np.diff(self.offsets)

    def users(self):
        return np.repeat(np.arange(self.user_count), self.degrees)


class Peer:
    makes = "negatives"
    package = None
    note = ""

    def start_epoch(self):
        pass

    def version(self):
        from importlib.metadata import version
        return version(self.package)


class Negpipe(Peer):
    project, package = "negpipe", "negpipe"
    calls = "for batch in negpipe.TrainLoader(data, 65_536, num_negatives=4, prefetch=0).epoch(t)"
    makes = "points"

    def __init__(self, data, seed):
        sys.path.insert(0, os.environ["NEGPIPE_PACKAGE"])
        import negpipe
        self.module = negpipe
        self.loader = negpipe.TrainLoader(negpipe.Dataset.load(data.folder), BATCH, num_negatives=NEGATIVES, seed=seed,
                                          prefetch=0, device="cpu", padding="drop")
        self.epoch = 0
        next(self.loader.epoch(0))  # builds the membership index

    def blocks(self):
        self.epoch += 1
        for users, items, labels in self.loader.epoch(self.epoch):
            yield users, items, labels

    def version(self):
        return self.module.__version__


class RecBole(Peer):
    project, package = "RecBole", "recbole"
    calls = "recbole.sampler.Sampler(...).set_phase('train').sample_by_user_ids(users, items, 4), 2,048 users a call"

    def __init__(self, data, seed):
        import torch
        from recbole.sampler import Sampler
        np.random.seed(seed)
        # Its ids start at 1, behind padding.
        self.users, self.items = data.users() + 1, data.items + 1
        interactions = {"user": torch.from_numpy(self.users), "item": torch.from_numpy(self.items)}
        dataset = types.SimpleNamespace(uid_field="user", iid_field="item", inter_feat=interactions,
                                        user_num=data.user_count + 1, item_num=data.item_count + 1)
        self.sampler = Sampler("train", dataset).set_phase("train")

    def start_epoch(self):
        self.order = np.random.permutation(len(self.users))

    def blocks(self):
        for first in range(0, len(self.order), 2048):  # its default batch
            chosen = self.order[first:first + 2048]
            users = self.users[chosen]
            items = self.sampler.sample_by_user_ids(users, self.items[chosen], NEGATIVES)
            yield np.tile(users, NEGATIVES) - 1, items.numpy() - 1


class PyTorchGeometric(Peer):
    project, package = "PyTorch Geometric", "torch-geometric"
    calls = "torch_geometric.utils.structured_negative_sampling(edge_index, num_nodes=items), once a negative"
    note = ("num_nodes is set to the number of items: by default it samples users as items; measured on the first "
            "million positives, because a call sorts all positives about 15 times")

    def __init__(self, data, seed):
        import torch
        from torch_geometric.utils import structured_negative_sampling
        torch.manual_seed(seed)
        self.sample = structured_negative_sampling
        count = data.offsets[np.searchsorted(data.offsets, 1_000_000, side="right") - 1]
        self.edges = torch.stack([torch.from_numpy(column[:count].astype(np.int64))
                                  for column in (data.users(), data.items)])
        self.item_count = data.item_count

    def blocks(self):
        for _ in range(NEGATIVES):
            users, _, items = self.sample(self.edges, num_nodes=self.item_count)
            yield users.numpy(), items.numpy()


class NvidiaNcf(Peer):
    project, package = "NVIDIA's NCF loader", "torch"
    calls = "peers/pytorch_negatives.py, make_epoch: a new implementation of its published behaviour"
    makes = "points"
    exact = False

    def __init__(self, data, seed):
        import pytorch_negatives
        import torch
        torch.manual_seed(seed)
        self.make_epoch = pytorch_negatives.make_epoch
        self.positives = pytorch_negatives.Positives(data.folder, torch.device("cpu"))

    def blocks(self):
        users, items, labels = self.make_epoch(self.positives, NEGATIVES, self.exact)
        yield users.numpy(), items.numpy(), labels.numpy()

    def version(self):
        return "PyTorch " + super().version()


class NvidiaNcfExact(NvidiaNcf):
    project = "NVIDIA's NCF loader, made exact"
    calls = NvidiaNcf.calls + ", with searchsorted to reject positives"
    exact = True


class Implicit(Peer):
    project, package = "implicit (BPR)", "implicit"
    calls = "implicit.cpu.bpr.bpr_update(..., num_threads=1, verify_neg=True), 1 factor"
    note = "draws by popularity, one negative per positive; skips draws that are positives; includes the training step"

    def __init__(self, data, seed):
        from implicit.cpu.bpr import RNGVector, bpr_update
        self.update = bpr_update
        self.columns = [data.users().astype(np.int32), data.items, data.offsets.astype(np.int32)]
        self.factors = [np.zeros((count, 2), np.float32) for count in (data.user_count, data.item_count)]
        self.random = RNGVector(1, len(data.items) - 1, np.array([seed], np.int64))

    def blocks(self):
        _, skipped = self.update(self.random, *self.columns, *self.factors, 1e-6, 0.0, 1, True)
        yield len(self.columns[0]) - skipped, None  # returns the number of its draws, not the items

    def observe(self, data, seed):
        """Returns the negatives of the first users: with one-hot items, a draw changes one factor of its user."""
        from implicit.cpu.bpr import RNGVector
        users = min(data.user_count, 400)
        count = int(data.offsets[users])
        rate = 2.0**-20
        user_factors = np.zeros((users, data.item_count + 1), np.float32)
        item_factors = np.eye(data.item_count, data.item_count + 1, dtype=np.float32)
        random = RNGVector(1, count - 1, np.array([seed], np.int64))
        self.update(random, self.columns[0][:count], self.columns[1][:count], self.columns[2][:users + 1],
                    user_factors, item_factors, rate, 0.0, 1, True)
        counts = np.rint(user_factors[:, :-1] / -(rate / 2)).astype(np.int64)
        users, items = np.nonzero(counts > 0)
        repeats = counts[users, items]
        return np.repeat(users, repeats), np.repeat(items, repeats)


class TfModels2019(Peer):
    project, package = "TensorFlow Models (2019)", "tf-models-official"
    calls = "official.recommendation.data_pipeline.BisectionDataConstructor(...)._get_training_batch(i)"
    makes = "points"

    def __init__(self, data, seed):
        from official.recommendation import data_pipeline, stat_utils
        self.shuffle = stat_utils.permutation
        np.random.seed(seed)
        self.seed = seed
        users, items = data.users().astype(np.int32), data.items.astype(np.uint16)
        first = np.zeros(data.user_count, np.int32)
        self.make = data_pipeline.BisectionDataConstructor(
            1, data.user_count, data.item_count, {}, {}, users, items, BATCH, 1, NEGATIVES,
            np.arange(data.user_count), first, 160_000, 1, stream_files=False, deterministic=True)
        self.make.construct_lookup_variables()

    def start_epoch(self):
        self.seed += 1
        self.make._current_epoch_order = self.shuffle((self.make._elements_in_epoch, self.seed))

    def blocks(self):
        for number in range(self.make.train_batches_per_epoch - 1):  # the last one is padded
            self.make._get_training_batch(number)
            columns, labels = self.make._train_dataset._result_queue.get()
            yield columns["user_id"][:, 0], columns["item_id"][:, 0], labels[:, 0]


class LightGcn(Peer):
    project = "LightGCN's C++ sampler"
    calls = "sampling.sample_negative(users, items, positives, allPos, 4)"
    note = "same number of positives for every user, drawn with replacement"

    def __init__(self, data, seed):
        clone = os.environ.get("LIGHTGCN_CLONE")
        if not clone:
            raise ImportError("LIGHTGCN_CLONE is not set to a clone of LightGCN-PyTorch, which is not on PyPI")
        self.clone = clone
        self.sampling = self.build(os.path.join(clone, "code", "sources", "sampling.cpp"))
        self.sampling.seed(seed)
        self.arguments = (data.user_count, data.item_count, len(data.items),
                          np.split(data.items, data.offsets[1:-1]), NEGATIVES)

    @staticmethod
    def build(source):
        import tempfile

        import pybind11
        folder = tempfile.mkdtemp(prefix="lightgcn-")
        path = os.path.join(folder, "sampling" + sysconfig.get_config_var("EXT_SUFFIX"))
        subprocess.run(["c++", "-O3", "-shared", "-std=c++17", "-fPIC", "-I", pybind11.get_include(), "-I",
                        sysconfig.get_paths()["include"], source, "-o", path], check=True)
        spec = importlib.util.spec_from_file_location("sampling", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def blocks(self):
        rows = self.sampling.sample_negative(*self.arguments)
        yield np.repeat(rows[:, 0], NEGATIVES), rows[:, 2:].ravel()

    def version(self):
        return "commit " + subprocess.run(["git", "-C", self.clone, "rev-parse", "--short", "HEAD"], check=True,
                                          stdout=subprocess.PIPE, text=True).stdout.strip()


class MerlinModels(Peer):
    project, package = "Merlin Models (log-uniform)", "merlin-models"
    calls = "PopularityBasedSamplerV2(max_id, max_num_samples=1000, seed=seed).sample(), shared by 250 positives"
    note = "log-uniform by design, with items numbered by popularity as it requires; does not look at users"

    def __init__(self, data, seed):
        import tensorflow as tf
        tf.random.set_seed(seed)
        # Its package imports dask and libraries of GPUs, none of which the sampler needs.
        root = os.path.join(importlib.util.find_spec("merlin").submodule_search_locations[0], "models")
        for name, folder in (("merlin.models", ""), ("merlin.models.utils", "utils"), ("merlin.models.tf", "tf"),
                             ("merlin.models.tf.outputs", "tf/outputs")):
            package = types.ModuleType(name)
            package.__path__ = [os.path.join(root, folder)]
            sys.modules[name] = package
        from merlin.models.tf.outputs.sampling.popularity import PopularityBasedSamplerV2
        self.by_popularity = np.argsort(-np.bincount(data.items, minlength=data.item_count), kind="stable")
        self.sampler = PopularityBasedSamplerV2(data.item_count - 1, max_num_samples=1000, seed=seed)
        self.sampler.sample()  # TensorFlow prepares much at the first call
        self.all_users = data.users()
        self.random = np.random.default_rng(seed)

    def start_epoch(self):
        self.order = self.random.permutation(len(self.all_users))

    def blocks(self):
        for first in range(0, len(self.order) - 249, 250):
            items = self.sampler.sample().id.numpy()[:, 0]
            yield np.repeat(self.all_users[self.order[first:first + 250]], NEGATIVES), self.by_popularity[items]


class GraphLearn(Peer):
    project, package = "GraphLearn for PyTorch", "graphlearn-torch"
    calls = "graphlearn_torch.sampler.RandomNegativeSampler(graph, mode='CPU').sample(65_536, padding=True)"
    note = "also draws the users: random pairs outside the graph; after 5 trials a pair is not checked"

    def __init__(self, data, seed):
        import torch
        # Only imported by what builds a graph from pairs.
        sys.modules.setdefault("torch_sparse", types.ModuleType("torch_sparse"))
        import graphlearn_torch as glt
        glt.py_graphlearn_torch.RandomSeedManager.getInstance().setSeed(seed)
        columns = torch.from_numpy(data.offsets), torch.from_numpy(data.items.astype(np.int64))
        topology = glt.data.Topology(columns, input_layout="CSR", layout="CSR")
        self.graph = glt.data.Graph(topology, mode="CPU")  # not kept alive by the sampler
        self.sampler = glt.sampler.RandomNegativeSampler(self.graph, mode="CPU")

    def blocks(self):
        while True:
            users, items = self.sampler.sample(BATCH, padding=True)
            yield users.numpy(), items.numpy()


PEERS = {"negpipe": Negpipe, "recbole": RecBole, "pyg": PyTorchGeometric, "nvidia_ncf": NvidiaNcf,
         "nvidia_ncf_exact": NvidiaNcfExact, "implicit": Implicit, "tf_models_2019": TfModels2019,
         "lightgcn": LightGcn, "merlin_models": MerlinModels, "graphlearn": GraphLearn}

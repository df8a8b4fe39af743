"""The adapters of examples/adapters: other libraries draw from negpipe, and get no training positive.

Those of PyTorch Geometric, RePlay and SASRec.pytorch run without their library; where it is installed, it is used too.
"""

import pathlib
import sys

import numpy as np
import pytest

import negpipe

torch = pytest.importorskip("torch", reason="PyTorch is not installed; run scripts/setup-torch")
pytest.importorskip("scipy")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "adapters"))


@pytest.fixture(scope="module")
def data():
    return negpipe.Dataset.synthetic(users=50, items=80, interactions=1500, seed=3)


def pairs_of(data):
    users = np.repeat(np.arange(data.num_users), np.diff(data.user_offsets))
    return users, data.positive_items, set(zip(users.tolist(), data.positive_items.tolist()))


def test_pytorch_geometric(data):
    from pyg_negpipe import BipartiteNegatives

    users, items, positives = pairs_of(data)
    edges = torch.from_numpy(np.stack([users, items + data.num_users]))
    sampler = BipartiteNegatives(edges, data.num_users, data.num_items, seed=1)
    i, j, k = sampler(edges, at=0)
    assert torch.equal(i, edges[0]) and torch.equal(j, edges[1]) and k.dtype == edges.dtype
    assert k.min() >= data.num_users and k.max() < data.num_users + data.num_items
    assert positives.isdisjoint(zip(i.tolist(), (k - data.num_users).tolist()))
    assert not torch.equal(k, sampler(edges, at=1)[2])


def test_pytorch_geometric_itself(data):
    utils = pytest.importorskip("torch_geometric.utils", reason="PyTorch Geometric is not installed")
    from pyg_negpipe import BipartiteNegatives

    users, items, _ = pairs_of(data)
    edges = torch.from_numpy(np.stack([users, items + data.num_users]))
    theirs = utils.structured_negative_sampling(edges, data.num_users + data.num_items)
    ours = BipartiteNegatives(edges, data.num_users, data.num_items)(edges, at=0)
    assert [(a.shape, a.dtype) for a in ours] == [(a.shape, a.dtype) for a in theirs]


def batch_of_sequences(data):
    return {"query_id": torch.tensor([3, 7, 49]), "positive_labels": torch.zeros(3, 5, 1, dtype=torch.long)}


def test_replay(data):
    from replay_negpipe import NegpipeTransform

    transform = NegpipeTransform(negpipe.NegativeSampler(data, seed=1), num_negatives=6)
    batch = batch_of_sequences(data)
    first, second = transform(batch), transform(batch)
    assert first["negative_labels"].shape == (3, 5, 6) and first["negative_labels"].dtype == torch.long
    assert "negative_labels" not in batch
    assert not torch.equal(first["negative_labels"], second["negative_labels"])
    for user, row in zip(batch["query_id"].tolist(), first["negative_labels"]):
        assert not np.isin(row.numpy(), data.positives_of(user)).any()


def test_replay_itself(data):
    loss = pytest.importorskip("replay.nn.loss", reason="RePlay is not installed")
    from replay_negpipe import NegpipeTransform

    batch = NegpipeTransform(negpipe.NegativeSampler(data), num_negatives=6)(batch_of_sequences(data))
    table = torch.randn(data.num_items, 8)
    sampled = loss.BCESampled()
    sampled.logits_callback = lambda states, ids: (
        states @ table.T if ids is None else (states[..., None, :] * table[ids]).sum(-1)
    )
    mask = torch.ones(3, 5, dtype=torch.bool)
    value = sampled(torch.randn(3, 5, 8), {}, batch["positive_labels"], batch["negative_labels"], mask, mask[..., None])
    assert torch.isfinite(value)


def test_sasrec_pytorch():
    from sasrec_pytorch_negpipe import NegpipeSampler

    generator = np.random.default_rng(1)
    user_train = {user: (generator.permutation(40)[: user % 12] + 1).tolist() for user in range(1, 31)}
    sampler = NegpipeSampler(user_train, 30, 40, batch_size=16, maxlen=6)
    seen = set()
    for _ in range(8):
        users, sequences, positives, negatives = sampler.next_batch()
        assert sequences.shape == positives.shape == negatives.shape == (16, 6)
        for user, sequence, positive, negative in zip(users.tolist(), sequences, positives, negatives):
            own = user_train[user][-7:]
            assert sequence[sequence > 0].tolist() == own[:-1] and positive[positive > 0].tolist() == own[1:]
            assert ((negative > 0) == (positive > 0)).all() and negative.max() <= 40
            assert set(negative[negative > 0].tolist()).isdisjoint(user_train[user])
        seen |= set(users.tolist())
    assert seen == {user for user, items in user_train.items() if len(items) > 1}
    sampler.close()


def test_recbole(data, tmp_path):
    pytest.importorskip("recbole", reason="RecBole is not installed")
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole_negpipe import use_negpipe

    users, items, _ = pairs_of(data)
    (tmp_path / "small").mkdir()
    rows = [f"{user}\t{item}\t{number}" for number, (user, item) in enumerate(zip(users, items))]
    (tmp_path / "small/small.inter").write_text(
        "\n".join(["user_id:token\titem_id:token\ttimestamp:float", *rows]) + "\n")
    options = {"data_path": str(tmp_path), "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
               "train_neg_sample_args": {"distribution": "uniform", "sample_num": 3, "dynamic": False},
               "train_batch_size": 512, "use_gpu": False, "state": "ERROR"}
    config = Config(model="BPR", dataset="small", config_dict=options)
    config["data_path"] = str(tmp_path / "small")
    train_data, _, _ = data_preparation(config, create_dataset(config))
    used = train_data._sampler.used_ids
    use_negpipe(train_data, seed=1)
    count = 0
    for batch in train_data:
        for user, negative in zip(batch["user_id"].tolist(), batch["neg_item_id"].tolist()):
            assert 1 <= negative < train_data.dataset.item_num and negative not in used[user]
            count += 1
    assert count >= len(train_data.dataset.inter_feat) * 3

"""A SASRec-style loop in PyTorch: a negative at each position of each sequence, in one call.

    python examples/sasrec_torch.py ratings.csv

Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018. The ratings need the columns user_id, item_id and
timestamp.
"""

import argparse
import time

import numpy
import torch
from torch import nn

import negpipe
from negpipe.metrics import FullRankingMetrics


class SASRec(nn.Module):
    def __init__(self, items, length, width, blocks=2, heads=2, dropout=0.2):
        super().__init__()
        self.items = nn.Embedding(items + 1, width, padding_idx=items)  # the last row is padding
        self.positions = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, blocks, nn.LayerNorm(width), enable_nested_tensor=False)
        self.padding = items
        nn.init.normal_(self.items.weight, std=width**-0.5)

    def forward(self, sequences):
        """[batch, length] items to [batch, length, width] states."""
        length = sequences.shape[1]
        later = torch.triu(torch.ones(length, length, dtype=torch.bool, device=sequences.device), 1)
        states = self.items(sequences) + self.positions.weight[:length]
        return self.blocks(states, mask=later)


def read(path, length, min_ratings):
    """The dataset, and the last `length` training items of each user in the order of time: [users, length], padded by
    num_items in front."""
    columns = numpy.genfromtxt(path, delimiter=",", names=True, dtype=numpy.int64)
    order = numpy.argsort(columns["timestamp"], kind="stable")
    users, items, times = (columns[name][order] for name in ("user_id", "item_id", "timestamp"))
    data = negpipe.Dataset.from_arrays(users, items, times, min_ratings=min_ratings)
    numbers = data.encode_users(users, unknown=-1)
    items = data.encode_items(items, unknown=-1)
    sequences = numpy.full((data.num_users, length), data.num_items, numpy.int64)
    for user in range(data.num_users):
        own = items[numbers == user][:-1][-length:]  # without the held-out item
        sequences[user, length - len(own) :] = own
    return data, torch.from_numpy(sequences)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", help="a CSV file")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=128, help="users")
    parser.add_argument("--negatives", type=int, default=1, help="at each position")
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--min-ratings", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


@torch.no_grad()
def evaluate(model, data, sequences, device):
    model.eval()
    found = FullRankingMetrics(k=20)
    for users in torch.arange(data.num_users).split(256):
        states = model(sequences[users].to(device))[:, -1]
        scores = states @ model.items.weight[: model.padding].T
        data.mask_positives_(scores, users)
        found.update(scores, data.heldout_items[users.numpy()])
    model.train()
    return found.result()


def main():
    arguments = parse()
    device = torch.device(arguments.device)
    data, sequences = read(arguments.ratings, arguments.length, arguments.min_ratings)
    draw = negpipe.NegativeSampler(data, seed=arguments.seed)
    torch.manual_seed(arguments.seed)
    model = SASRec(data.num_items, arguments.length, arguments.width).to(device)
    optimizer = torch.optim.Adam(model.parameters(), arguments.learning_rate)
    step = 0
    for epoch in range(arguments.epochs):
        begin = time.perf_counter()
        for users in torch.randperm(data.num_users).split(arguments.batch_size):
            inputs, targets = sequences[users, :-1], sequences[users, 1:]
            is_target = (targets != model.padding) & (inputs != model.padding)
            padded_users = torch.where(is_target, users[:, None], -1)  # -1 is padding: nothing is drawn
            negatives = draw.sample(padded_users, arguments.negatives, at=step)  # [batch, length - 1, K]
            negatives = torch.where(negatives < 0, model.padding, negatives)
            inputs, targets, negatives, is_target = (
                ids.to(device) for ids in (inputs, targets, negatives, is_target)
            )
            states = model(inputs)
            candidates = model.items(torch.cat([targets[..., None], negatives], dim=-1))  # the positive first
            scores = (states[:, :, None] * candidates).sum(-1)[is_target]
            labels = torch.zeros_like(scores)
            labels[:, 0] = 1
            loss = nn.functional.binary_cross_entropy_with_logits(scores, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
        found = evaluate(model, data, sequences, device)
        print(f"epoch {epoch}: loss {loss.item():.4f}, Recall@20 {found.recall:.4f}, NDCG@20 {found.ndcg:.4f}, "
              f"{time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()

"""Matrix factorisation with BPR in PyTorch, evaluated on all items: Recall@20 and NDCG@20.

    python examples/bpr_torch.py ratings.csv

Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
"""

import argparse
import pathlib
import time

import torch
from torch import nn

import negpipe
from negpipe.metrics import FullRankingMetrics


class Factorization(nn.Module):
    def __init__(self, users, items, factors):
        super().__init__()
        self.users = nn.Embedding(users, factors)
        self.items = nn.Embedding(items, factors)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, users, items):
        """items may have more dimensions than users, such as [batch, K] for [batch, 1]."""
        return (self.users(users) * self.items(items)).sum(-1)

    def score_all(self, users):
        return self.users(users) @ self.items.weight.T


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", help="a file of ratings, or a folder that negpipe prepare wrote")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--negatives", type=int, default=1, help="of each positive")
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    parser.add_argument("--weight-decay", type=float, default=1e-6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def epoch_batches(data, draw, epoch, batch_size, negatives):
    """Yields users [batch], a positive of each, and negatives [batch, K]: all positives once, in random order."""
    users = torch.arange(data.num_users).repeat_interleave(torch.tensor(data.user_offsets).diff())
    items = torch.tensor(data.positive_items)
    batches = torch.randperm(len(items)).split(batch_size)
    for step, rows in enumerate(batches, epoch * len(batches)):
        yield users[rows], items[rows], draw.sample(users[rows], negatives, at=step)  # never a positive of the user


def train_epoch(model, optimizer, batches, device):
    """Returns the loss of the last batch."""
    for batch in batches:
        users, items, negatives = (ids.to(device) for ids in batch)
        margins = model(users, items)[:, None] - model(users[:, None], negatives)
        loss = -nn.functional.logsigmoid(margins).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return loss.item()


@torch.no_grad()
def evaluate(model, data, device, block=1024):
    found = FullRankingMetrics(k=20)
    for users in torch.arange(data.num_users).split(block):
        scores = model.score_all(users.to(device))
        data.mask_positives_(scores, users)
        found.update(scores, data.heldout_items[users.numpy()])
    return found.result()


def main():
    arguments = parse()
    device = torch.device(arguments.device)
    is_folder = pathlib.Path(arguments.ratings).is_dir()
    data = (negpipe.Dataset.load if is_folder else negpipe.Dataset.from_ratings)(arguments.ratings)
    draw = negpipe.NegativeSampler(data, seed=arguments.seed)
    torch.manual_seed(arguments.seed)
    model = Factorization(data.num_users, data.num_items, arguments.factors).to(device)
    optimizer = torch.optim.Adam(model.parameters(), arguments.learning_rate, weight_decay=arguments.weight_decay)
    for epoch in range(arguments.epochs):
        begin = time.perf_counter()
        batches = epoch_batches(data, draw, epoch, arguments.batch_size, arguments.negatives)
        loss = train_epoch(model, optimizer, batches, device)
        found = evaluate(model, data, device)
        print(f"epoch {epoch}: loss {loss:.4f}, Recall@20 {found.recall:.4f}, NDCG@20 {found.ndcg:.4f}, "
              f"{time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()

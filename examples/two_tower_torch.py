"""Two towers with in-batch and popularity negatives, corrected by logQ, in PyTorch.

    python examples/two_tower_torch.py ratings.csv

Each user ranks its own positive among the other positives of the batch and among items that the whole batch shares,
drawn by popularity. Popular items are in both more often, so the logarithm of each item's probability is subtracted
from its score (Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019). Items that are positives of a user are
masked in that user's row.
"""

import argparse
import pathlib
import time

import torch
from torch import nn

import negpipe
from negpipe.metrics import FullRankingMetrics


class Tower(nn.Module):
    """An embedding and a perceptron; put the features of your users or items here."""

    def __init__(self, count, width):
        super().__init__()
        self.table = nn.Embedding(count, width)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, ids):
        return nn.functional.normalize(self.layers(self.table(ids)), dim=-1)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", help="a file of ratings, or a folder that negpipe prepare wrote")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--negatives", type=int, default=1024, help="shared by the batch")
    parser.add_argument("--alpha", type=float, default=0.75, help="the shared ones come by popularity to this power")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


@torch.no_grad()
def evaluate(user_tower, item_tower, data, device):
    items = item_tower(torch.arange(data.num_items, device=device))
    found = FullRankingMetrics(k=20)
    for users in torch.arange(data.num_users).split(1024):
        scores = user_tower(users.to(device)) @ items.T
        data.mask_positives_(scores, users)
        found.update(scores, data.heldout_items[users.numpy()])
    return found.result()


def main():
    arguments = parse()
    device = torch.device(arguments.device)
    is_folder = pathlib.Path(arguments.ratings).is_dir()
    data = (negpipe.Dataset.load if is_folder else negpipe.Dataset.from_ratings)(arguments.ratings)
    draw = negpipe.NegativeSampler(data, seed=arguments.seed, distribution="popularity", alpha=arguments.alpha)
    positive_users = torch.arange(data.num_users).repeat_interleave(torch.tensor(data.user_offsets).diff())
    positive_items = torch.tensor(data.positive_items)
    # In a batch of positives an item comes in proportion to its count.
    log_q_in_batch = torch.log(torch.from_numpy(data.item_counts()) / data.num_positives).float()

    torch.manual_seed(arguments.seed)
    user_tower = Tower(data.num_users, arguments.width).to(device)
    item_tower = Tower(data.num_items, arguments.width).to(device)
    optimizer = torch.optim.Adam([*user_tower.parameters(), *item_tower.parameters()], arguments.learning_rate)
    step = 0
    for epoch in range(arguments.epochs):
        begin = time.perf_counter()
        for rows in torch.randperm(len(positive_items)).split(arguments.batch_size):
            users, items = positive_users[rows], positive_items[rows]
            shared = draw.sample(users, arguments.negatives, at=step, shared=True)  # [K]
            candidates = torch.cat([items, shared])
            log_q = torch.cat([log_q_in_batch[items], draw.log_q(None, shared)])
            is_hit = draw.contains(users[:, None], candidates[None, :])  # [batch, batch + K]
            own = torch.arange(len(users))
            is_hit[own, own] = False  # the positive that the row is about
            users, candidates, log_q, is_hit, own = (
                values.to(device) for values in (users, candidates, log_q, is_hit, own)
            )
            scores = user_tower(users) @ item_tower(candidates).T / arguments.temperature - log_q
            loss = nn.functional.cross_entropy(scores.masked_fill(is_hit, -torch.inf), own)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
        found = evaluate(user_tower, item_tower, data, device)
        print(f"epoch {epoch}: loss {loss.item():.4f}, Recall@20 {found.recall:.4f}, NDCG@20 {found.ndcg:.4f}, "
              f"{time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()

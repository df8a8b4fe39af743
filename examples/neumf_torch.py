"""NeuMF on MovieLens in PyTorch: one process or torchrun, mixed precision, checkpoints that resume mid-epoch.

    python examples/neumf_torch.py ratings.csv --checkpoint neumf.pt
    torchrun --nproc-per-node 2 examples/neumf_torch.py ratings.csv --checkpoint neumf.pt

After an interruption, run it again: it resumes from the last checkpoint with the next batches, on any number of
processes that divides the batch size.
"""

import argparse
import pathlib
import time

import torch
import torch.distributed as distributed
from torch import nn

import negpipe.torch
from negpipe.metrics import RankingMetrics


class NeuMF(nn.Module):
    """Neural matrix factorization (He et al. 2017): generalized matrix factorization and a perceptron."""

    def __init__(self, users, items, factors=8, layers=(64, 32, 16, 8)):
        super().__init__()
        self.user_factors = nn.Embedding(users, factors + layers[0] // 2)
        self.item_factors = nn.Embedding(items, factors + layers[0] // 2)
        for table in (self.user_factors, self.item_factors):
            nn.init.normal_(table.weight, std=0.01)
        steps = [(nn.Linear(a, b), nn.ReLU()) for a, b in zip(layers, layers[1:])]
        self.perceptron = nn.Sequential(*(module for step in steps for module in step))
        self.output = nn.Linear(factors + layers[-1], 1)
        self.factors = factors

    def forward(self, users, items):
        user, item = self.user_factors(users), self.item_factors(items)
        product = user[..., : self.factors] * item[..., : self.factors]
        deep = self.perceptron(torch.cat([user[..., self.factors :], item[..., self.factors :]], dim=-1))
        return self.output(torch.cat([product, deep], dim=-1)).squeeze(-1)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", help="a file of ratings, or a folder that negpipe prepare wrote")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16_384, help="points per batch, over all processes")
    parser.add_argument("--eval-negatives", type=int, default=999)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--checkpoint-every", type=int, default=100, metavar="STEPS")
    parser.add_argument("--max-steps", type=int, default=0, help="stop this run after so many steps; 0: no limit")
    return parser.parse_args()


def save(path, model, optimizer, train):
    """Writes a new file and renames it, so that an interruption keeps the previous checkpoint."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "train": train.state_dict()}
    staging = path.with_suffix(".new")
    torch.save(state, staging)
    staging.replace(path)


@torch.no_grad()
def evaluate(model, rows, ranks):
    metrics = RankingMetrics(k=(5, 10), num_neg=rows.num_negatives)
    for users, items, duplicates in rows:
        metrics.update(model(users, items), duplicates)
    totals = metrics.totals
    if ranks.world_size > 1:
        distributed.all_reduce(totals)
    return metrics.result(totals)


def main():
    arguments = parse()
    is_folder = pathlib.Path(arguments.ratings).is_dir()
    open_data = negpipe.Dataset.load if is_folder else negpipe.Dataset.from_ratings
    data = open_data(arguments.ratings)
    train = negpipe.torch.TrainLoader(
        data, arguments.batch_size, num_negatives=4, seed=arguments.seed, device=arguments.device
    )
    rows = negpipe.torch.EvalLoader(
        data, num_negatives=arguments.eval_negatives, seed=arguments.seed, device=arguments.device
    )
    ranks, device = train.ranks, train.device
    is_first = ranks.rank == 0
    if ranks.world_size > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")

    torch.manual_seed(arguments.seed)  # the same weights on every rank
    model = NeuMF(data.num_users, data.num_items).to(device)
    optimizer = torch.optim.Adam(model.parameters(), arguments.learning_rate)
    if arguments.checkpoint and arguments.checkpoint.exists():
        state = torch.load(arguments.checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        train.load_state_dict(state["train"])
        if is_first:
            print(f"resumed at epoch {state['train']['epoch']}, batch {state['train']['batch']}")
    step_model = model
    if ranks.world_size > 1:
        # DDP keeps its group alive past destroy_process_group. If it has one of its own, the threads that sum the
        # metrics end there; else one may still hold a tensor when the interpreter ends, and PyTorch aborts the process.
        step_model = nn.parallel.DistributedDataParallel(model, process_group=distributed.new_group())

    steps = 0
    for epoch in range(train.current_epoch, arguments.epochs):
        begin = time.perf_counter()
        for users, items, labels in train.epoch(epoch):
            with torch.autocast(device.type, torch.bfloat16):
                scores = step_model(users, items)
            loss = nn.functional.binary_cross_entropy_with_logits(scores.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            steps += 1
            is_last = steps == arguments.max_steps
            if arguments.checkpoint and is_first and (steps % arguments.checkpoint_every == 0 or is_last):
                save(arguments.checkpoint, model, optimizer, train)
            if is_last:
                print(f"stopped after {steps} steps" if is_first else "", end="\n" if is_first else "")
                return
        found = evaluate(model, rows, ranks)
        if is_first:
            seconds = time.perf_counter() - begin
            print(f"epoch {epoch}: loss {loss.item():.4f}, " +
                  ", ".join(f"HR@{k} {m.hit_rate:.4f}, NDCG@{k} {m.ndcg:.4f}" for k, m in found.items()) +
                  f", {seconds:.1f} s")
            if arguments.checkpoint:
                save(arguments.checkpoint, model, optimizer, train)


if __name__ == "__main__":
    try:
        main()
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()

"""Matrix factorization on MovieLens in JAX.

    python examples/factorization_jax.py ratings.csv
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp

import negpipe.jax
from negpipe.metrics import RankingMetrics


def scores_of(model, users, items):
    return (model["users"][users] * model["items"][items]).sum(-1) + model["bias"][items]


def loss_of(model, users, items, labels):
    scores = scores_of(model, users, items)
    return jnp.mean(jnp.logaddexp(0.0, scores) - labels * scores)


@jax.jit
def step(model, moments, users, items, labels, rate):
    """One step of Adagrad."""
    loss, slopes = jax.value_and_grad(loss_of)(model, users, items, labels)
    moments = jax.tree.map(lambda moment, slope: moment + slope**2, moments, slopes)
    move = lambda value, slope, moment: value - rate * slope / jnp.sqrt(moment + 1e-8)  # noqa: E731
    return jax.tree.map(move, model, slopes, moments), moments, loss


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", help="a file of ratings, or a folder that negpipe prepare wrote")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16_384)
    parser.add_argument("--eval-negatives", type=int, default=999)
    parser.add_argument("--factors", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto", help="where batches are made: auto, which is the CPU, or cuda")
    arguments = parser.parse_args()

    is_folder = pathlib.Path(arguments.ratings).is_dir()
    open_data = negpipe.Dataset.load if is_folder else negpipe.Dataset.from_ratings
    data = open_data(arguments.ratings)
    options = {"seed": arguments.seed, "device": arguments.device}
    train = negpipe.jax.TrainLoader(data, arguments.batch_size, **options)
    rows = negpipe.jax.EvalLoader(data, num_negatives=arguments.eval_negatives, **options)

    keys = jax.random.split(jax.random.key(arguments.seed), 2)
    model = {
        "users": 0.1 * jax.random.normal(keys[0], (data.num_users, arguments.factors)),
        "items": 0.1 * jax.random.normal(keys[1], (data.num_items, arguments.factors)),
        "bias": jnp.zeros(data.num_items),
    }
    moments = jax.tree.map(jnp.zeros_like, model)
    score = jax.jit(scores_of)
    for epoch in range(arguments.epochs):
        for users, items, labels in train.epoch(epoch):
            model, moments, loss = step(model, moments, users, items, labels, arguments.learning_rate)
        found = RankingMetrics(num_neg=rows.num_negatives)
        for users, items, duplicates in rows:
            found.update(score(model, users, items), duplicates)
        means = found.result()
        print(f"epoch {epoch}: loss {float(loss):.4f}, HR@10 {means.hit_rate:.4f}, NDCG@10 {means.ndcg:.4f}")


if __name__ == "__main__":
    main()

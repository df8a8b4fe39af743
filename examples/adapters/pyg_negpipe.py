"""PyTorch Geometric: structured negative sampling of user-item graphs by negpipe.

    sampler = BipartiteNegatives(edge_index, num_users, num_items)
    for step, edges in enumerate(batches):               # edges: [2, batch] of edge_index
        users, items, negatives = sampler(edges, at=step)

It stands in for torch_geometric.utils.structured_negative_sampling, which draws among all nodes, users too. Items are
nodes num_users .. num_users + num_items - 1, as in PyG's LightGCN example.
"""

import scipy.sparse

import negpipe


class BipartiteNegatives:
    def __init__(self, edge_index, num_users, num_items, seed=0, **options):
        """edge_index: [2, edges], users first. options: those of negpipe.NegativeSampler, such as distribution."""
        users, items = edge_index.cpu().numpy()
        shape = (num_users, num_items)
        positives = scipy.sparse.coo_array(([1] * len(users), (users, items - num_users)), shape=shape)
        data = negpipe.Dataset.from_csr(positives, scipy.sparse.coo_array(shape))
        self.draw = negpipe.NegativeSampler(data, seed=seed, **options)
        self.num_users = num_users

    def __call__(self, edge_index, at):
        """Returns (users, items, negatives), each [edges]: no (user, negative) is an edge."""
        users, items = edge_index
        return users, items, self.draw.sample(users, 1, at=at)[:, 0].long() + self.num_users

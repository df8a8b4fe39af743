"""SASRec.pytorch (pmixer): the batches of its WarpSampler, with negatives drawn by negpipe in one call each.

    sampler = NegpipeSampler(user_train, usernum, itemnum, batch_size=args.batch_size, maxlen=args.maxlen)

It stands in for WarpSampler in main.py, and needs no worker processes. Users and items are numbered from 1, 0 is
padding.
"""

import numpy as np
import scipy.sparse

import negpipe


class NegpipeSampler:
    def __init__(self, user_train, usernum, itemnum, batch_size=64, maxlen=10, seed=0):
        self.sequences = {user: items for user, items in user_train.items() if len(items) > 1}
        self.batch_size, self.maxlen = batch_size, maxlen
        users = np.repeat(list(self.sequences), [len(items) for items in self.sequences.values()]) - 1
        items = np.concatenate(list(self.sequences.values())) - 1
        positives = scipy.sparse.coo_array((np.ones(len(users)), (users, items)), shape=(usernum, itemnum))
        data = negpipe.Dataset.from_csr(positives, scipy.sparse.coo_array((usernum, itemnum)))
        self.draw = negpipe.NegativeSampler(data, seed=seed)
        self.random = np.random.default_rng(seed)
        self.order, self.calls = [], 0

    def next_batch(self):
        """(users [batch], sequences, positives, negatives, each [batch, maxlen])."""
        while len(self.order) < self.batch_size:
            self.order += self.random.permutation(list(self.sequences)).tolist()
        users, self.order = np.array(self.order[: self.batch_size]), self.order[self.batch_size :]
        sequences, positives = np.zeros((2, self.batch_size, self.maxlen), np.int32)
        for row, user in enumerate(users):
            items = self.sequences[user][-self.maxlen - 1 :]
            sequences[row, -len(items) + 1 :], positives[row, -len(items) + 1 :] = items[:-1], items[1:]
        drawn = self.draw.sample(np.where(positives > 0, users[:, None] - 1, -1), 1, at=self.calls)[..., 0]
        self.calls += 1
        return users, sequences, positives, drawn + 1  # padding: -1 + 1

    def close(self):
        pass

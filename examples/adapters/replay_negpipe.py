"""RePlay: negatives of each user at each position by negpipe, as a transform of RePlay's data pipeline.

    transforms = [..., NegpipeTransform(draw, num_negatives=256)]   # instead of UniformNegativeSamplingTransform

RePlay's own transform draws one set of items for the whole batch, which may hold positives of its users. Its losses
take negatives of the shape [batch, length, K] too.
"""

import torch


class NegpipeTransform(torch.nn.Module):
    def __init__(self, draw, num_negatives, user="query_id", positives="positive_labels", out="negative_labels"):
        """draw: a negpipe.NegativeSampler whose users and items have RePlay's numbers.
        user, positives: features of the batch: users [batch], items [batch, length, ...].
        """
        super().__init__()
        self.draw, self.num_negatives = draw, num_negatives
        self.user, self.positives, self.out = user, positives, out
        self.calls = 0

    def forward(self, batch):
        length = batch[self.positives].shape[1]
        users = batch[self.user].reshape(-1, 1).expand(-1, length)
        self.calls += 1
        return {**batch, self.out: self.draw.sample(users, self.num_negatives, at=self.calls - 1).long()}

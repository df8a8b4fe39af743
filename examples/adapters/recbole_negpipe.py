"""RecBole draws its training negatives from negpipe.

    config = Config(model="BPR", dataset="ml-100k", config_dict={...})
    dataset = create_dataset(config)
    train_data, valid_data, test_data = data_preparation(config, dataset)
    use_negpipe(train_data, seed=1)
    Trainer(config, model).fit(train_data, valid_data)

RecBole numbers users and items from 1, 0 is padding. Its training negatives exclude training positives only, as here.
"""

import scipy.sparse
import torch

import negpipe


def dataset_of(dataset):
    """The interactions of a RecBole dataset as training positives of a negpipe.Dataset, whose numbers are one less."""
    users = dataset.inter_feat[dataset.uid_field].numpy() - 1
    items = dataset.inter_feat[dataset.iid_field].numpy() - 1
    shape = (dataset.user_num - 1, dataset.item_num - 1)
    positives = scipy.sparse.coo_array(([1] * len(users), (users, items)), shape=shape)
    return negpipe.Dataset.from_csr(positives, scipy.sparse.coo_array(shape))


def use_negpipe(train_data, seed=0, **options):
    """Replaces the sampler of a TrainDataLoader. options: those of negpipe.NegativeSampler, such as distribution."""
    draw = negpipe.NegativeSampler(dataset_of(train_data.dataset), seed=seed, **options)
    calls = 0

    def sample_by_key_ids(user_ids, num):
        """Negatives [num * len(user_ids)]: the first of each user, then the second of each, and so on."""
        nonlocal calls
        drawn = draw.sample(torch.as_tensor(user_ids) - 1, num, at=calls)
        calls += 1
        return drawn.T.reshape(-1).long() + 1

    train_data._sampler.sample_by_key_ids = sample_by_key_ids

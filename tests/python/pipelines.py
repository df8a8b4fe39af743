"""Helpers of the tests of pipelines."""

from negpipe import tf as negpipe_tf

# As in the program's tests: 20 negatives for each evaluated user.
USUAL = {"batch_size": 512, "eval_batch_size": 210, "num_data_readers": 3, "eval_negatives": 20}
PARAMS = {"batch_size": 512, "eval_batch_size": 210}


def hashes(input_fn):
    outcome = negpipe_tf.hash_pipeline(input_fn(PARAMS), True)
    return outcome.batch_count, outcome.all_batches, outcome.first_batch

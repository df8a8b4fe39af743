"""Exact, reproducible training and evaluation data for recommenders.

negpipe.metrics needs NumPy, negpipe.records crc32c too; negpipe.tf needs TensorFlow.
"""

__version__ = "0.1.0"

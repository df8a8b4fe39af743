"""Exact, reproducible training and evaluation data for recommenders.

negpipe.records and negpipe.metrics need NumPy alone; negpipe.tf needs TensorFlow.
"""

__version__ = "0.1.0"

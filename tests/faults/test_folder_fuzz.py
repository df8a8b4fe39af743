"""A sample of folder_fuzz.py: readers agree on changed folders, and refuse them with a proper error."""

import folder_fuzz
import pytest

CASES = 120


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return folder_fuzz.Originals(tmp_path_factory.mktemp("originals"))


def test_the_program_and_python_agree_on_records(originals):
    accepted = sum(originals.records_case(seed) for seed in range(CASES))
    assert 0.05 * CASES < accepted < 0.6 * CASES, "changes that are all refused, or none, compare nothing"


def test_the_program_accepts_only_valid_datasets(originals):
    accepted = sum(originals.dataset_case(seed) for seed in range(CASES))
    assert accepted < 0.6 * CASES

"""negpipe.Dataset: content, sources, and errors."""

import pickle

import numpy as np
import pytest

import negpipe
from negpipe import errors


@pytest.fixture(scope="module")
def small():
    return negpipe.Dataset.synthetic(users=50, items=100, interactions=1500, seed=3)


def test_ratings_make_the_dataset_of_the_program(ratings, dataset):
    made = negpipe.Dataset.from_ratings(ratings)
    loaded = negpipe.Dataset.load(dataset)
    assert made.digest == loaded.digest
    assert made.summary["rows_read"] > made.num_positives
    assert np.array_equal(made.user_ids, loaded.user_ids)


def test_text_ids_are_kept(tmp_path):
    rows = [f"{user},film {item},{5},{item}" for user in ("ann", "böb") for item in range(25)]
    (tmp_path / "ratings.csv").write_text("\n".join(["user_id,item_id,rating,timestamp", *rows]) + "\n")
    data = negpipe.Dataset.from_ratings(tmp_path / "ratings.csv")
    assert data.user_ids.tolist() == ["ann", "böb"]
    assert data.encode_users(["böb", "ann"]).tolist() == [1, 0]
    assert data.decode_items(data.heldout_items).tolist() == ["film 24", "film 24"]


def test_a_table_is_read_with_the_given_options(tmp_path):
    rows = [f"{user}|{item}|{(item % 5) + 1}" for user in (7, 3) for item in range(25)]
    (tmp_path / "ratings.txt").write_text("\n".join(["who|what|stars", *rows]) + "\n")
    columns = {"user": "who", "item": "what", "rating": "stars", "separator": "|"}
    data = negpipe.Dataset.from_ratings(
        tmp_path / "ratings.txt", **columns, order="file", min_rating=2, min_ratings=1
    )
    assert data.user_ids.tolist() == [7, 3] and data.num_positives == 2 * 19
    assert data.decode_items(data.heldout_items).tolist() == [24, 24]
    assert data.summary["rows_below_rating"] == 10 and "who" in data.summary["detected"]


def test_arrays_are_views_that_keep_the_dataset_alive():
    items = negpipe.Dataset.synthetic(users=50, items=100, interactions=1500).positive_items
    again = negpipe.Dataset.synthetic(users=50, items=100, interactions=1500).positive_items
    assert np.array_equal(items, again)
    with pytest.raises(ValueError, match="read-only"):
        items[0] = 1


def test_counts_agree(small):
    assert (small.num_users, small.num_items, small.num_positives) == (50, 100, 1450)
    assert "50 users" in repr(small) and "1,450" in repr(small)
    assert small.item_counts().sum() == small.num_positives
    assert sum(len(small.positives_of(user)) for user in range(50)) == small.num_positives
    assert all(small.heldout_items[user] not in small.positives_of(user) for user in range(50))


def test_ids_and_numbers_are_inverse_in_any_shape(small):
    numbers = np.arange(50).reshape(5, 10)
    assert np.array_equal(small.encode_users(small.decode_users(numbers)), numbers)
    assert small.encode_items(small.item_ids).dtype == np.int32
    assert small.encode_users([10**9, small.user_ids[4]], unknown=-1).tolist() == [-1, 4]


def test_unknown_ids_and_numbers_are_refused(small):
    with pytest.raises(KeyError, match="user id 1000000000 is not in the dataset"):
        small.encode_users([10**9])
    with pytest.raises(ValueError, match="integers"):
        small.encode_users(["ann"])
    for wrong in (-1, 100):
        with pytest.raises(IndexError, match=f"no item {wrong}"):
            small.decode_items([0, wrong])
    with pytest.raises(IndexError, match="no user 50"):
        small.positives_of(50)


def test_an_existing_split_is_used(small):
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_array((np.ones(small.num_positives), small.positive_items, small.user_offsets), shape=(50, 100))
    taken = negpipe.Dataset.from_csr(
        matrix.tocoo(), small.heldout_items, user_ids=small.user_ids, item_ids=small.item_ids
    )
    assert taken.digest == small.digest
    with pytest.raises(ValueError, match=r"expected integers \[50\]"):
        negpipe.Dataset.from_csr(matrix, small.heldout_items[:10])
    heldout = small.heldout_items.copy()
    heldout[7] = small.positives_of(7)[0]
    with pytest.raises(ValueError):
        negpipe.Dataset.from_csr(matrix, heldout)
    with pytest.raises(TypeError, match="SciPy"):
        negpipe.Dataset.from_csr([[1]], [0])


def test_held_out_items_are_rows_in_memory_on_disk_and_in_pickles(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")

    def matrix(*rows):
        users = [user for user, items in enumerate(rows) for _ in items]
        return sparse.coo_array((np.ones(len(users)), (users, sum(rows, []))), shape=(len(rows), 6))

    made = negpipe.Dataset.from_csr(
        matrix([0, 5], [1], [2]), matrix([3, 1], [], [4]), validation=matrix([4], [0, 5], [])
    )
    assert made.heldout_items.tolist() == [-1, -1, 4]
    made.save(tmp_path / "dataset")
    for data in (made, negpipe.Dataset.load(tmp_path / "dataset"), pickle.loads(pickle.dumps(made))):
        assert data.digest == made.digest and data.has_validation
        assert data.test_offsets.tolist() == [0, 2, 2, 3] and data.test_items.tolist() == [1, 3, 4]
        assert data.validation_offsets.tolist() == [0, 1, 3, 3] and data.validation_items.tolist() == [4, 0, 5]
    with pytest.raises(ValueError, match="the validation item 3 of user 0 is also a test item"):
        negpipe.Dataset.from_csr(matrix([0, 5], [1], [2]), matrix([3, 1], [], [4]), validation=matrix([3], [], []))
    with pytest.raises(ValueError, match=r"heldout has the shape \[2, 6\]; expected \[3, 6\]"):
        negpipe.Dataset.from_csr(matrix([0, 5], [1], [2]), matrix([3], []))


def test_one_test_item_a_user_has_no_validation(small):
    assert not small.has_validation and small.validation_offsets.size == small.validation_items.size == 0
    assert small.test_offsets.tolist() == list(range(51))
    assert small.test_items.tolist() == small.heldout_items.tolist()


def test_columns_are_chosen_by_name_or_number(tmp_path):
    (tmp_path / "a.csv").write_text("when,what,who\n1,10,1\n2,11,1\n1,10,2\n2,12,2\n")
    named = negpipe.Dataset.from_ratings(tmp_path / "a.csv", user="who", item="what", time="when", min_ratings=1)
    numbers = negpipe.Dataset.from_ratings(tmp_path / "a.csv", user=3, item=np.int64(2), time="1", min_ratings=1)
    assert numbers.digest == named.digest
    for wrong in (2.0, b"what", ["what"]):
        with pytest.raises(TypeError, match="`item`: .* given; expected the name of a column, or its number, 1 for"):
            negpipe.Dataset.from_ratings(tmp_path / "a.csv", user="who", item=wrong, time="when")
    with pytest.raises(errors.OptionError, match="`item`: 0 given; expected 1 to"):
        negpipe.Dataset.from_ratings(tmp_path / "a.csv", user="who", item=0, time="when")


@pytest.mark.parametrize("header", ["ORCID", "PAR1", "ARROW1"])
def test_text_may_begin_like_a_binary_file(header, tmp_path):
    (tmp_path / "r.csv").write_text(f"{header},item,time\n1,2,3\n1,3,4\n")
    assert negpipe.Dataset.from_ratings(tmp_path / "r.csv", user=header, min_ratings=1).num_users == 1


@pytest.mark.parametrize("module, write, kind", [("parquet", "write_table", "a Parquet file"),
                                                 ("feather", "write_feather", "an Arrow"),
                                                 ("orc", "write_table", "an ORC file")])
def test_files_of_arrow_formats_are_refused_with_what_reads_them(module, write, kind, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    library = pytest.importorskip(f"pyarrow.{module}")
    rows = pyarrow.table({"user": [1, 1, 2, 2], "item": [5, 6, 5, 7], "time": [1, 2, 1, 2]})
    path = tmp_path / "rows"
    getattr(library, write)(rows, str(path))
    with pytest.raises(errors.InputError, match=f"{kind}.*; read it with negpipe.Dataset.from_arrow") as refusal:
        negpipe.Dataset.from_ratings(path)
    advice = str(refusal.value).partition("read it with ")[2]
    given = {"negpipe": negpipe, "pyarrow": pyarrow}
    data = eval(advice.removesuffix(")") + ", min_ratings=1)", given)
    assert data.digest == negpipe.Dataset.from_arrow(rows, min_ratings=1).digest


def test_what_is_no_path_is_refused():
    with pytest.raises(TypeError, match="`path`: 5 given; expected a path, or a list of paths"):
        negpipe.Dataset.from_ratings(5)
    with pytest.raises(TypeError, match="`test`: None given; expected a path"):
        negpipe.Dataset.from_ratings("a", test=[None])


def test_lists_of_different_lengths_are_refused(small):
    ragged = [[1], [2, 3]]
    for use in (small.decode_users, small.encode_items, small.heldout_of, negpipe.NegativeSampler(small).sample,
                lambda users: negpipe.NegativeSampler(small).contains(users, 1),
                lambda users: negpipe.Dataset.from_arrays(users, [1, 2])):
        with pytest.raises(errors.OptionError, match="list of lists of different lengths"):
            use(ragged)
    with pytest.raises(errors.OptionError, match="`users` is of objects, such as integers beyond 64 bits"):
        negpipe.NegativeSampler(small).sample([2**70])


def test_files_are_split(tmp_path):
    (tmp_path / "a.csv").write_text("user,item,time\n1,10,1\n1,11,2\n1,12,3\n2,10,1\n")
    (tmp_path / "b.csv").write_text("user,item,time\n2,11,2\n2,12,3\n")
    both = [tmp_path / "a.csv", tmp_path / "b.csv"]
    data = negpipe.Dataset.from_ratings(both, split="leave-two-out", min_ratings=1)
    assert data.decode_items(data.test_items).tolist() == [12, 12]
    assert data.decode_items(data.validation_items).tolist() == [11, 11]
    given = negpipe.Dataset.from_ratings(both[0], test=both[1], min_ratings=1)
    assert given.test_offsets.tolist() == [0, 0, 2] and not given.has_validation
    arrays = negpipe.Dataset.from_arrays([1, 1, 1, 2], [10, 11, 12, 10], test=([2, 2], [11, 12]), min_ratings=1)
    assert arrays.digest == given.digest
    with pytest.raises(ValueError, match="validation needs test"):
        negpipe.Dataset.from_ratings(both[0], validation=both[1])
    with pytest.raises(ValueError, match='"half" given: there is no such split'):
        negpipe.Dataset.from_ratings(both[0], split="half")
    with pytest.raises(FileNotFoundError, match="nothing"):
        negpipe.Dataset.from_ratings(both[0], test=tmp_path / "nothing")


def test_a_core_of_users_and_items_is_kept(tmp_path):
    (tmp_path / "a.csv").write_text("user,item,time\n1,10,1\n1,11,2\n2,10,1\n2,11,2\n3,11,1\n3,12,2\n")
    data = negpipe.Dataset.from_ratings(tmp_path / "a.csv", min_ratings=2, min_item_ratings=2, k_core=True)
    assert data.user_ids.tolist() == [1, 2] and data.summary["items_dropped"] == 1


def test_a_split_by_time_refuses_times_that_are_floats():
    with pytest.raises(ValueError, match="the times are float64"):
        negpipe.Dataset.from_arrays([1, 1], [1, 2], [0.5, 1.5], min_ratings=1, split="time:1")


@pytest.mark.parametrize("shards", [-1, 10_001, 2**40, 1.5, "2"])
def test_a_wrong_number_of_shards_is_refused(shards, small, tmp_path):
    with pytest.raises((errors.OptionError, TypeError), match=f"`shards`: {shards!r} given"):
        small.save(tmp_path / "dataset", shards=shards)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_saved_once_and_opened_again(small, tmp_path):
    small.save(tmp_path / "dataset")
    assert negpipe.Dataset.load(tmp_path / "dataset").digest == small.digest
    with pytest.raises(ValueError, match="exists already"):
        small.save(tmp_path / "dataset")
    small.save(tmp_path / "dataset", overwrite=True)


def test_pickles_keep_the_digest(small, dataset, tmp_path):
    assert pickle.loads(pickle.dumps(small)).digest == small.digest
    loaded = negpipe.Dataset.load(dataset)
    pickled = pickle.dumps(loaded)
    assert len(pickled) < 1000  # the path, not the arrays
    assert pickle.loads(pickled).digest == loaded.digest
    small.save(tmp_path / "changed")
    stale = pickle.dumps(negpipe.Dataset.load(tmp_path / "changed"))
    negpipe.Dataset.synthetic(users=50, items=100, interactions=1500, seed=4).save(tmp_path / "changed", overwrite=True)
    with pytest.raises(errors.FormatError, match="was changed"):
        pickle.loads(stale)


@pytest.mark.parametrize("make", [negpipe.Dataset.load, negpipe.Dataset.from_ratings])
def test_a_missing_file_is_the_built_in_error_too(make, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        make(tmp_path / "nothing")


def test_errors_name_fields_and_known_values(ratings, tmp_path):
    with pytest.raises(errors.OptionError, match='ties: "no" given; expected one of file, shuffled'):
        negpipe.Dataset.from_ratings(ratings, ties="no")
    (tmp_path / "bad.csv").write_text("user_id,item_id,rating,timestamp\n1,2,3\n")
    with pytest.raises(errors.InputError, match=r"bad\.csv:2"):
        negpipe.Dataset.from_ratings(tmp_path / "bad.csv")
    with pytest.raises(TypeError, match="make a Dataset by"):
        negpipe.Dataset([1, 2])


def test_every_error_is_an_error_of_negpipe_and_a_built_in():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.Error]
    assert len(kinds) > 10
    for kind in kinds:
        assert issubclass(kind, errors.Error) and len(kind.__mro__) > 4, kind


def test_unsigned_ids_are_found_beyond_the_precision_of_doubles():
    ids = np.repeat(2**53 + np.arange(3), 25)
    data = negpipe.Dataset.from_arrays(ids, np.tile(np.arange(25), 3))
    assert data.encode_users(data.user_ids.astype(np.uint64)).tolist() == [0, 1, 2]
    assert data.encode_users(np.array([2**64 - 1], np.uint64), unknown=-1).tolist() == [-1]


def test_ids_as_bytes_are_their_text():
    texts = np.repeat(np.array([b"ann", b"b\xf6b"], object), 25)
    data = negpipe.Dataset.from_arrays(texts, np.tile(np.arange(25), 2))
    assert data.user_ids.tolist() == ["ann", "b\udcf6b"]
    assert data.encode_users(np.array([b"b\xf6b"], object)).tolist() == [1]
    assert negpipe.Dataset.from_arrays(texts.astype("S"), np.tile(np.arange(25), 2)).user_ids.tolist() == [
        "ann", "b\udcf6b"
    ]


def test_ids_that_are_no_utf8_survive_a_pickle():
    data = negpipe.Dataset.from_arrays(np.repeat(["b\udcf6b", "ann"], 25), np.tile(np.arange(25), 2))
    again = pickle.loads(pickle.dumps(data))
    assert again.digest == data.digest and again.user_ids.tolist() == ["b\udcf6b", "ann"]


def test_a_split_that_is_damaged_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix((np.ones(4), ([0, 0, 1, 1], [0, 1, 0, 2])), shape=(2, 5))
    with pytest.raises(errors.OptionError, match="18446744073709551615 does not fit int64"):
        negpipe.Dataset.from_csr(matrix, [3, 4], user_ids=np.array([1, 2**64 - 1], np.uint64))
    matrix.indptr = np.array([0, 9, 4], np.int32)
    with pytest.raises(errors.OptionError, match="matrix is not a sparse matrix in good order"):
        negpipe.Dataset.from_csr(matrix, [3, 4])


@pytest.mark.parametrize("options", [{"min_ratings": -1}, {"seed": 2**64}, {"missing": 3}, {"min_rating": "high"}])
def test_an_option_of_another_type_or_range_is_named(options):
    with pytest.raises(errors.OptionError, match=f"`{next(iter(options))}`: .* given"):
        negpipe.Dataset.from_arrays(np.repeat([1, 2], 25), np.tile(np.arange(25), 2), **options)


def test_messages_name_the_arguments_of_python(tmp_path):
    """The library names fields of its options, some of which have other names here."""
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("who,what,timestamp\n1,2,3\n1,3,4\n2,2,4\n2,3,5\n")
    with pytest.raises(errors.Error) as refused:
        negpipe.Dataset.from_ratings(ratings)
    assert "`user`" in str(refused.value) and "user_column" not in str(refused.value)

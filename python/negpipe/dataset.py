"""Datasets: interactions, held-out items, and the raw ids of the dense numbers."""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from negpipe import _native, _pickles, columns, masking, tables
from negpipe._ids import Ids, checked_indices
from negpipe._numbers import checked_integer, checked_text, optional_integer
from negpipe.tables import Path


class Dataset:
    """An immutable dataset: users' training positives and held-out items, by dense numbers.

    Users are 0 .. num_users - 1, items 0 .. num_items - 1, in the order of their first appearance. Made by the class
    methods: from_ratings, from_arrays, from_arrow, from_csr, synthetic, load. Copies and pickles keep the digest.
    """

    def __init__(
        self,
        native: _native.Dataset,
        *,
        summary: dict[str, Any] | None = None,
        path: str | None = None,
        shard: int | None = None,
    ):
        """Internal. Use a class method."""
        if not isinstance(native, _native.Dataset):
            raise TypeError("make a Dataset by from_ratings, from_csr, synthetic or load")
        self._native = native
        self._path = path
        self._shard = shard
        self.summary: dict[str, Any] = dict(summary or {})
        """Result of the preparation: rows_read, rows_missing, rows_below_rating, duplicates_dropped, users_dropped,
        items_dropped, rows_dropped, unknown_rows, unknown_users, unknown_items, and how the table was read (detected).
        Empty for other datasets."""

    # ---- sources

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Opens a folder written by save or `negpipe prepare`, and reads all of it once, to check it. Arrays from 1 GiB
        on are mapped.

        Raises MissingFileError (a FileNotFoundError), FileError (an OSError), FormatError (a ValueError).
        """
        return cls(tables.from_file(_native.load, folder), path=os.path.abspath(folder))

    @classmethod
    def from_ratings(
        cls,
        path: Path | list[Path],
        *,
        test: Path | list[Path] | None = None,
        validation: Path | list[Path] | None = None,
        user: str | int | None = None,
        item: str | int | None = None,
        time: str | int | None = None,
        rating: str | int | None = None,
        separator: str | None = None,
        header: bool | None = None,
        comment: str | None = None,
        quotes: bool | None = None,
        na_values: list[str] | None = None,
        encoding: str | None = None,
        layout: str | None = None,
        member: str | None = None,
        order: str = "time",
        missing: str = "error",
        min_rating: float | None = None,
        min_ratings: int = 20,
        min_item_ratings: int = 1,
        k_core: bool = False,
        duplicates: str = "error",
        split: str | None = None,
        unknown: str = "drop",
        ties: str = "file",
        seed: int = 0,
        expect: str | None = None,
        memory: int | None = None,
        temporary: Path | None = None,
    ) -> Dataset:
        """Reads files of ratings, as `negpipe prepare` does, and splits them.

        path:        one file, or several that are read as one table.
        split:       "leave-one-out" (the default: test is each user's last item), "leave-two-out" (validation and test
                     item), "ratio:0.8,0.1,0.1" (training, validation and test, in the order of time within each user),
                     "time:T" (test from a time or date on) or "time:T,U" (validation from T, test from U).
        test, validation: files of a split that is made already; path has its training rows. Times are not read then.
        unknown:     held-out rows whose user or item has no training row, with test or a split by time: "drop", "keep"
                     or "error". summary counts them.
        user, item, time, rating: columns, by name or by number from 1. None: detected, as the following ones.
        separator, header, comment, quotes, na_values, member: the format of the file, or the table in a zip archive.
        encoding:    "utf-8", "utf-16" or "latin-1". layout: "table", or "item-lists" (a user and its items per line).
        order:       order of a user's rows: by the "time" column, or as in the "file".
        missing:     rows with a missing value: "error" or "drop".
        min_rating:  rows rated lower are dropped first. Without it, ratings are not read.
        min_ratings: users with fewer rows are dropped, then items with fewer than min_item_ratings; k_core repeats
                     both until all that remain have enough.
        duplicates:  repeated (user, item) pairs: "error", or keep the "first" or the "last".
        ties:        order of a user's rows of the same time: "file", or "shuffled" by seed, as in MLPerf.
        expect:      "ml-1m" or "ml-20m": raise unless the counts equal those of that dataset.
        memory:      limit of the memory for rows, in bytes. Beyond it, rows are sorted in unnamed files, which take 28
                     bytes a row, and the dataset keeps its positives in one. The dataset is the same.
        temporary:   existing folder for these files; None: that of tempfile.gettempdir().

        Raises InputError (a ValueError; file, line, what was found), MissingFileError, FileError, OptionError.
        """
        given = {name: value for name, value in locals().items() if name not in tables.FILES and value is not None}
        given.update(tables.column_choices({name: given.get(name) for name in tables.COLUMNS}))
        tables.check_split(split, test, validation)
        sets = tables.text_files(path=path, test=test, validation=validation)
        limit = tables.memory_limit(memory, temporary)
        native, summary = tables.from_file(lambda _: _native.from_ratings(*sets, limit, given), sum(sets, []))
        return cls(native, summary=summary)

    @classmethod
    def from_arrays(
        cls, users, items, times=None, *, ratings=None, test=None, validation=None, **options
    ) -> Dataset:
        """Makes a dataset of rows in memory: users[i] interacted with items[i].

        users, items: integers or str, [n]: NumPy, lists, or DLPack (torch, JAX, CuPy).
        times:        integers, floats or datetime64, [n], of any unit. Without it, rows must be in the order of time.
        ratings:      numbers [n], read for min_rating only.
        test, validation: (users, items) of a split that is made already; the others are its training rows.
        options:      missing, na_values, min_rating, min_ratings, min_item_ratings, k_core, duplicates, split, unknown,
                      ties, seed, expect as in from_ratings.

        None, NaN, NaT and the words of na_values ("NA", "None", ...; [] for none) are missing values. Equal to
        from_ratings of the same rows. Raises InputError, OptionError (ValueErrors).
        """
        tables.check_times(options.get("split"), times)
        given = tables.row_options(options, test, validation)
        held_out = (tables.of_pairs(test, "test"), tables.of_pairs(validation, "validation"))
        table = tables.of_arrays(users, items, times, ratings)
        native, summary = _native.from_columns(table, *held_out, "arrays", given)
        return cls(native, summary=summary)

    @classmethod
    def from_arrow(
        cls,
        table,
        *,
        user: str | int | None = None,
        item: str | int | None = None,
        time: str | int | None = None,
        rating: str | int | None = None,
        test=None,
        validation=None,
        order: str = "time",
        memory: int | None = None,
        temporary: Path | None = None,
        **options,
    ) -> Dataset:
        """Makes a dataset of an Arrow table or stream: pandas, Polars, DuckDB, pyarrow, cuDF, Hugging Face datasets.

        user, item, time, rating: columns, by name or by number from 1; None: detected, as in a file. Ids are integers
                 or text, also categorical (dictionary); times are timestamps, dates, numbers or text; ratings numbers.
        order:   order of a user's rows: by the "time" column, or as in the table ("file").
        test, validation: tables with the same columns, of a split that is made already; times are not read then.
        memory, temporary: as in from_ratings. The stream is then read batch by batch: give a pyarrow.RecordBatchReader
                 of files for more rows than memory. What the reader holds comes on top.
        options: missing, na_values, min_rating, min_ratings, min_item_ratings, k_core, duplicates, split, unknown,
                 ties, seed, expect as in from_ratings.

        Nulls, and text that is a word of na_values ("NA", "None", ...; [] for none), are missing values. A text column
        stays text even if every id is a number. Raises TypeError for a table that is not computed yet or
        has no __arrow_c_stream__, InputError, OptionError (ValueErrors), FileError for a stream that fails; what a
        pyarrow.RecordBatchReader's producer raised is its __cause__, and KeyboardInterrupt and MemoryError pass.
        """
        given = tables.row_options(options, test, validation)
        given.update(tables.column_choices({"user": user, "item": item, "time": time, "rating": rating}), order=order)
        name = type(table).__module__.partition(".")[0]
        limit = tables.memory_limit(memory, temporary)
        with columns.producer_failures() as failures:
            held_out = (None if some is None else columns.arrow_stream(some, failures) for some in (test, validation))
            stream = columns.arrow_stream(table, failures)
            native, summary = _native.from_arrow(stream, *held_out, name, limit, given)
        return cls(native, summary=summary)

    @classmethod
    def from_csr(
        cls, matrix: Any, heldout: Any, *, validation: Any = None, user_ids=None, item_ids=None
    ) -> Dataset:
        """Makes a dataset of an existing split: training positives as a SciPy sparse matrix, and held-out items.

        matrix:     [num_users, num_items]; each stored entry is a positive, whatever its value; an explicit zero too.
        heldout:    the test set: integers [num_users], one item a user, or a sparse matrix of matrix's shape with any
                    number of items a user.
        validation: the validation set in the same form, or None.
        user_ids, item_ids: integers or str, [num_users] and [num_items]; without them the numbers themselves.

        The sets of a user may not have an item in common. Raises OptionError or FormatError (both ValueErrors).
        """
        offsets, positives = tables.sorted_rows(matrix, "matrix")
        users, items = matrix.shape
        native = _native.from_parts(
            offsets,
            positives,
            tables.heldout_rows(heldout, users, items, "heldout"),
            None if validation is None else tables.heldout_rows(validation, users, items, "validation"),
            tables.as_ids(user_ids, users, "user_ids"),
            tables.as_ids(item_ids, items, "item_ids"),
            "from_csr",
        )
        return cls(native)

    @classmethod
    def synthetic(
        cls,
        like: str | None = None,
        *,
        users: int | None = None,
        items: int | None = None,
        interactions: int | None = None,
        min_ratings: int | None = None,
        seed: int = 0,
    ) -> Dataset:
        """Makes a dataset with long-tailed users and items. Equal arguments give equal datasets.

        like: "ml-1m" (the default: 6,040 users, 3,706 items, 1,000,209 interactions), "ml-20m", "ml-20m-16x32"
        (MLPerf's expansion of it: 2,197,225 users, 855,776 items, 1.2 G interactions) or "vk-lsvd:SCALE" (10 M users,
        19.6 M items, 40.8 G interactions, each times SCALE, such as 0.01). Other arguments override its counts.
        interactions counts held-out items too.

        Raises OptionError (a ValueError).
        """
        return cls(
            _native.synthetic(
                like=None if like is None else checked_text(like, "like"),
                users=optional_integer(users, "users", 2**31 - 1),
                items=optional_integer(items, "items", 2**31 - 1),
                interactions=optional_integer(interactions, "interactions", 2**64 - 1),
                min_ratings=optional_integer(min_ratings, "min_ratings", 2**32 - 1),
                seed=checked_integer(seed, "seed", 2**64 - 1),
            )
        )

    def save(self, folder: Path, overwrite: bool = False, *, shards: int = 0) -> None:
        """Writes the dataset to a folder, which appears complete or not at all.

        overwrite: replace an existing dataset. shards: cut the arrays of users into that many files, by ranges of
        users; at most 10,000. Raises OptionError (a ValueError) if the path exists, FileError.
        """
        self._native.save(folder, overwrite, checked_integer(shards, "shards", _native.max_shards))

    # ---- content

    @property
    def num_users(self) -> int:
        return self._native.user_count

    @property
    def first_user(self) -> int:
        """Number of user 0 in the whole dataset: not 0 for a shard (Shards.load)."""
        return self._native.first_user

    @property
    def num_items(self) -> int:
        return self._native.item_count

    @property
    def num_positives(self) -> int:
        """Training positives; held-out items are not counted."""
        return self._native.positive_count

    @property
    def digest(self) -> str:
        """Hash of the content. Equal digests give equal batches for equal options."""
        return self._native.digest

    @property
    def user_offsets(self) -> npt.NDArray[np.int64]:
        """int64 [num_users + 1]: user u's positives are positive_items[user_offsets[u]:user_offsets[u + 1]]."""
        return self._native.user_offsets

    @property
    def positive_items(self) -> npt.NDArray[np.int32]:
        """int32 [num_positives], ascending and distinct for each user. Read-only, no copy."""
        return self._native.positive_items

    @property
    def heldout_items(self) -> npt.NDArray[np.int32]:
        """int32 [num_users]: the test item of each user, or -1 for a user who has none or several."""
        return self._native.heldout_items

    @property
    def test_offsets(self) -> npt.NDArray[np.int64]:
        """int64 [num_users + 1]: user u's test items are test_items[test_offsets[u]:test_offsets[u + 1]]."""
        return self._native.heldout(validation=False)[0]

    @property
    def test_items(self) -> npt.NDArray[np.int32]:
        """int32: the test items, ascending and distinct for each user. Never trained on. Read-only, no copy."""
        return self._native.heldout(validation=False)[1]

    @property
    def has_validation(self) -> bool:
        return self._native.has_validation

    @property
    def validation_offsets(self) -> npt.NDArray[np.int64]:
        """int64 [num_users + 1], like test_offsets; empty without a validation set."""
        return self._native.heldout(validation=True)[0]

    @property
    def validation_items(self) -> npt.NDArray[np.int32]:
        """int32, like test_items; empty without a validation set."""
        return self._native.heldout(validation=True)[1]

    def positives_of(self, user: int) -> npt.NDArray[np.int32]:
        """Returns the training positives of a user, ascending: int32, read-only, no copy. Raises OutOfRangeError."""
        user = int(checked_indices(user, self.num_users, "user"))
        begin, end = self.user_offsets[user : user + 2]
        return self.positive_items[begin:end]

    def item_counts(self) -> npt.NDArray[np.int64]:
        """Returns the number of users with each item among their training positives: int64 [num_items]."""
        return np.bincount(self.positive_items, minlength=self.num_items)

    def heldout_of(
        self, users: npt.ArrayLike, split: str = "test"
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Returns the held-out items of users as (offsets [n + 1], items): users[i] has
        items[offsets[i]:offsets[i + 1]], ascending. FullRankingMetrics.update takes them.

        users: integers [n], in any order, with repeats. split: "test" or "validation".

        Raises OutOfRangeError (an IndexError), OptionError (a ValueError).
        """
        checked = masking.checked_users(self, users)
        return masking.rows_of(*masking.held_out(self, masking.checked_set(self, split, "split")), checked)

    def mask_positives_(self, scores, users: npt.ArrayLike, also: str | None = None):
        """Sets the scores of each user's training positives to minus infinity, in place, and returns scores.

        scores: [n, num_items], floating point; NumPy array or PyTorch tensor, on any device, of any strides. A JAX
                array is immutable: negpipe.jax.mask_positives returns a masked copy.
        users:  integers [n]; row i holds the scores of user users[i].
        also:   "validation" masks the user's validation items too, for ranking the test set of a dataset that has
                both; "test" masks the test items.

        Raises OutOfRangeError (an IndexError), OptionError (a ValueError), TypeError.
        """
        return masking.mask_positives_(self, scores, users, also)

    # ---- ids

    @functools.cached_property
    def _user_ids(self) -> Ids:
        return Ids("user", self._native.user_ids())

    @functools.cached_property
    def _item_ids(self) -> Ids:
        return Ids("item", self._native.item_ids())

    @property
    def user_ids(self) -> np.ndarray:
        """The raw ids by number: int64 [num_users], or str objects."""
        return self._user_ids.values

    @property
    def item_ids(self) -> np.ndarray:
        """The raw ids by number: int64 [num_items], or str objects."""
        return self._item_ids.values

    def encode_users(self, ids: npt.ArrayLike, unknown: int | None = None) -> npt.NDArray[np.int32]:
        """Returns the numbers of raw ids, in the same shape. unknown: number of ids that are not in the dataset; None:
        raises UnknownIdError (a KeyError)."""
        return self._user_ids.encode(ids, unknown)

    def encode_items(self, ids: npt.ArrayLike, unknown: int | None = None) -> npt.NDArray[np.int32]:
        """Like encode_users."""
        return self._item_ids.encode(ids, unknown)

    def decode_users(self, numbers: npt.ArrayLike) -> np.ndarray:
        """Returns the raw ids of numbers, in the same shape. Raises OutOfRangeError (an IndexError)."""
        return self._user_ids.decode(numbers)

    def decode_items(self, numbers: npt.ArrayLike) -> np.ndarray:
        """Returns the raw ids of numbers, in the same shape. Raises OutOfRangeError (an IndexError)."""
        return self._item_ids.decode(numbers)

    # ---- what Python expects of an object

    def __repr__(self) -> str:
        return (
            f"Dataset({self.num_users:,} users, {self.num_items:,} items, {self.num_positives:,} training positives, "
            f"source {self._native.source!r})"
        )

    def __reduce__(self):
        return _pickles.reduced(self)

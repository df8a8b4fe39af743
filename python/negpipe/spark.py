"""Datasets of Spark tables that are larger than one machine: negpipe.spark.prepare.

Needs PySpark 3.5 or newer (`pip install '.[spark]'` in the clone); the executors need this package and pyarrow too.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid

import crc32c
import numpy as np

from negpipe import _native, errors
from negpipe.dataset import Dataset, Path

_SHARES_UNIT = 1_000_000
_INDEX_BITS = 33  # monotonically_increasing_id: the partition above, the row's index in it below
_WRITTEN = "part long, name string, length long, crc32c long"
_COUNTS = "part long, users long, training long, test long, validation long"


def prepare(
    df,
    out: Path,
    *,
    user: str = "user_id",
    item: str = "item_id",
    time: str = "timestamp",
    rating: str = "rating",
    row: str | None = None,
    missing: str = "error",
    min_rating: float | None = None,
    min_ratings: int = 20,
    min_item_ratings: int = 1,
    k_core: bool = False,
    duplicates: str = "error",
    split: str = "leave-one-out",
    ties: str = "file",
    seed: int = 0,
    shards: int | None = None,
    overwrite: bool = False,
) -> Dataset:
    """Makes a dataset of a Spark DataFrame of ratings, and returns it. It equals Dataset.from_arrow of the same rows.

    out:     folder for the dataset, on a file system that all executors and the driver share.
    user, item, time, rating: names of columns; rating is read for min_rating only.
    row:     column of distinct integers that orders the rows: the first row of a user or item decides its number, and
             rows with equal times keep this order. None: the order of the DataFrame, which Spark keeps for files but
             not after a shuffle.
    shards:  number of files for each array of users; None: spark.sql.shuffle.partitions. Each must fit an executor.
    split:   "leave-one-out", "leave-two-out" or "ratio:A,B,C". Others are as in Dataset.from_ratings.

    The driver holds the ids of users and items. Raises InputError, OptionError (ValueErrors), FileError.
    """
    from pyspark.sql import functions as F

    shares = _shares(split)
    for name, value, choices in (
        ("missing", missing, ("error", "drop")),
        ("duplicates", duplicates, ("error", "first", "last")),
        ("ties", ties, ("file", "shuffled")),
    ):
        if value not in choices:
            raise errors.OptionError(f"{name}: {value!r} given; expected one of {choices}")
    if os.path.exists(out) and not overwrite:
        raise errors.OptionError(f"{os.fspath(out)} exists already; choose another path, or set overwrite")
    partitions = shards or int(df.sparkSession.conf.get("spark.sql.shuffle.partitions"))
    rows = _selected(df, {"user": user, "item": item, "time": time}, rating if min_rating is not None else None, row)
    kept, row_count = _filtered(rows, missing, min_rating, duplicates)
    kept = _large_enough(kept, min_ratings, min_item_ratings, k_core)
    users = _numbered(kept.groupBy("user").agg(F.min("row").alias("row")), partitions)
    items = _numbered(kept.groupBy("item").agg(F.min("row").alias("row")), partitions)
    if ties == "shuffled":
        kept = _numbered(kept, partitions)
    else:
        kept = kept.withColumn("number", F.col("row"))
    kept = kept.select("user", "item", "time", F.col("number").alias("order"))
    kept = kept.join(users.select("user", F.col("number").alias("u")), "user")
    kept = kept.join(items.select("item", F.col("number").alias("i")), "item").select("u", "i", "time", "order")
    table = kept.repartitionByRange(partitions, "u").persist()

    description = {
        "format": "negpipe dataset",
        "format_version": 3,
        "written_by": "negpipe.spark",
        "origin": {
            "source": "spark",
            "source_digest": "",
            "options": {
                "command": "spark.prepare",
                "min_ratings": min_ratings,
                "min_item_ratings": min_item_ratings,
                "k_core": k_core,
                "min_rating": min_rating,
                "duplicates": duplicates,
                "missing": missing,
                "split": split,
            },
            "ties": ties,
            "seed": str(seed if ties == "shuffled" else 0),
            "rows": row_count,
        },
    }
    parent, name = os.path.split(os.path.abspath(out))
    folder = os.path.join(parent, f".{name}.shards-{uuid.uuid4().hex}")
    os.makedirs(folder)
    try:
        splitter = _Splitter(shares, seed if ties == "shuffled" else None)
        counts = sorted(table.mapInArrow(splitter.count, _COUNTS).collect())
        if sum(part.training for part in counts) == 0:
            raise errors.InputError("not one training positive is left: lower min_ratings or min_item_ratings")
        written = table.mapInArrow(_Writer(splitter, folder, counts).write, _WRITTEN).collect()
        description["arrays"] = _arrays_of(written, [part.part for part in counts])
        for ids, table_of_ids in (("user", users), ("item", items)):
            values = [found[0] for found in table_of_ids.orderBy("number").select(ids).collect()]
            description[f"{ids}s"] = len(values)
            description["arrays"].update(_write_ids(folder, f"{ids}_ids", values))
        description["positives"] = description["arrays"]["positive_items"]["length"]
        with open(os.path.join(folder, "shards.json"), "w") as f:
            json.dump(description, f)
        _native.join(folder, os.path.abspath(out), overwrite)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # renamed, unless something failed
        table.unpersist()
    return Dataset.load(out)


def _shares(split):
    """The shares of validation and test rows in millionths, or the number of rows held out at the end."""
    if split == "leave-one-out":
        return None
    if split == "leave-two-out":
        return (1, 1)
    if split.startswith("ratio:"):
        given = [float(share) for share in split.removeprefix("ratio:").split(",")]
        if len(given) == 2:
            given.insert(1, 0.0)
        if len(given) == 3 and given[0] > 0 and min(given) >= 0 and given[2] > 0:
            return tuple(int(share / sum(given) * _SHARES_UNIT + 0.5) for share in given[1:])
    raise errors.OptionError(
        f"split: {split!r} given; expected leave-one-out, leave-two-out or ratio:A,B,C. For other splits use "
        "`negpipe prepare`"
    )


def _selected(df, columns, rating, row):
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    selected = []
    for name, source in columns.items():
        column = F.col(source)
        kind = df.schema[source].dataType
        if isinstance(kind, T.TimestampType):
            column = F.unix_micros(column)
        elif isinstance(kind, T.DateType):
            column = F.unix_date(column)
        elif isinstance(kind, T.IntegralType):
            column = column.cast("long")
        selected.append(column.alias(name))
    if rating is not None:
        selected.append(F.col(rating).cast("double").alias("rating"))
    selected.append((F.monotonically_increasing_id() if row is None else F.col(row).cast("long")).alias("row"))
    return df.select(*selected).persist()  # monotonically_increasing_id must not be computed again


def _filtered(rows, missing, min_rating, duplicates):
    """Returns the rows without missing values, low ratings and repeated pairs, and the number of complete rows."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if missing == "drop":
        rows = rows.dropna()
    else:
        lacking = rows.count() - rows.dropna().count()
        if lacking:
            raise errors.InputError(f'{lacking} rows lack a value; set missing to "drop" to leave them out')
    if min_rating is not None:
        rows = rows.filter(F.col("rating") >= min_rating).drop("rating")
    count = rows.count()
    if count == 0:
        raise errors.InputError("no ratings are left")
    pairs = rows.groupBy("user", "item").count().filter("count > 1")
    if duplicates == "error":
        for pair in pairs.limit(1).collect():
            raise errors.InputError(
                f"user {pair['user']!r} and item {pair['item']!r} are in {pair['count']} rows; set duplicates to "
                '"first" or "last" to keep one of such rows'
            )
        return rows, count
    order = F.col("row") if duplicates == "first" else F.col("row").desc()
    repeat = F.row_number().over(Window.partitionBy("user", "item").orderBy(order))
    return rows.withColumn("repeat", repeat).filter("repeat = 1").drop("repeat"), count


def _large_enough(rows, min_ratings, min_item_ratings, k_core):
    """Drops users, then items with too few rows. k_core: in turn, until all that remain have enough."""

    def drop(rows, key, least):
        counts = rows.groupBy(key).count()
        return rows.join(counts.filter(counts["count"] >= least).select(key), key, "left_semi").persist()

    rows = drop(rows, "user", min_ratings)
    if min_item_ratings <= 1:
        return rows
    while True:
        before = rows.count()
        rows = drop(rows, "item", min_item_ratings)
        after = rows.count()
        if not k_core or after == before:
            return rows
        rows = drop(rows, "user", min_ratings)
        if rows.count() == after:
            return rows


def _numbered(table, partitions):
    """Returns the table with its rows numbered from 0 in the order of the column row."""
    from pyspark.sql import functions as F

    table = table.repartitionByRange(partitions, "row").sortWithinPartitions("row").persist()
    index = F.monotonically_increasing_id()
    part = F.shiftright(index, _INDEX_BITS).cast("int")
    counts = dict(table.select(part.alias("part")).groupBy("part").count().collect())
    first, starts = 0, []
    for k in sorted(counts):
        starts += [F.lit(k), F.lit(first)]
        first += counts[k]
    within = index.bitwiseAND((1 << _INDEX_BITS) - 1)
    if not starts:
        raise errors.InputError("no user is left: lower min_ratings or min_item_ratings")
    numbered = table.withColumn("part", part).withColumn("within", within)
    return numbered.withColumn("number", F.create_map(*starts)[F.col("part")] + F.col("within")).drop("part", "within")


# ---- on the executors


def _tie_ranks(seed, rows):
    """Pseudo-random ranks of row numbers: Philox4x32-10, as in negpipe/core/philox.hpp with the tag `ties`."""
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    rows = rows.astype(np.uint64)
    words = [np.zeros_like(rows), np.full_like(rows, 7 << 24), rows & low, rows >> shift]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = words[0] * np.uint64(0xD2511F53), words[2] * np.uint64(0xCD9E8D57)
        first, third = p1 >> shift ^ words[1] ^ np.uint64(key[0]), p0 >> shift ^ words[3] ^ np.uint64(key[1])
        words = [first, p1 & low, third, p0 & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return words[1] << shift | words[0]


class _Splitter:
    """Splits the rows of a partition, which has all rows of its users."""

    def __init__(self, shares, seed):
        self.shares = shares
        self.seed = seed

    def sets(self, batches):
        """Returns the number of users and, for each set, (rows of each user, items in order); None without rows."""
        import pyarrow

        batches = [batch for batch in batches if batch.num_rows]
        if not batches:
            return None
        users, items, times, order = (column.to_numpy() for column in pyarrow.Table.from_batches(batches).columns)
        users = users - users.min()
        if self.seed is not None:
            order = _tie_ranks(self.seed, order)
        sorting = np.lexsort((order, times, users))
        users, items = users[sorting], items[sorting].astype(np.int32)
        rows = np.bincount(users)
        from_end = np.cumsum(rows)[users] - np.arange(len(users))  # 1 for the last row of a user
        validation, test = (count[users] for count in self.held_out(rows))
        is_test = from_end <= test
        is_validation = ~is_test & (from_end <= test + validation)

        def ordered(chosen):
            sorting = np.lexsort((items[chosen], users[chosen]))
            return np.bincount(users[chosen], minlength=len(rows)), items[chosen][sorting]

        return len(rows), ordered(~is_test & ~is_validation), ordered(is_test), ordered(is_validation)

    def held_out(self, rows):
        """Returns the numbers of validation and test rows of users with these numbers of rows."""
        if self.shares is None:
            return np.zeros_like(rows), np.ones_like(rows)
        if self.shares == (1, 1):
            return (rows >= 2).astype(rows.dtype), np.ones_like(rows)
        validation, test = (rows * share // _SHARES_UNIT for share in self.shares)
        test[(test == 0) & (validation + 1 < rows)] = 1
        if self.shares[0]:
            validation[(validation == 0) & (test + 1 < rows)] = 1
        return validation, test

    @property
    def has_validation(self):
        return self.shares is not None and self.shares[0] != 0

    def count(self, batches):
        found = self.sets(batches)
        if found is not None:
            yield _batch(_COUNTS, [[_partition()], [found[0]], *([len(items)] for _, items in found[1:])])


class _Writer:
    """Writes the arrays of a partition as shard k of the arrays of the dataset."""

    def __init__(self, splitter, folder, counts):
        self.splitter = splitter
        self.folder = folder
        self.parts = [part.part for part in counts]
        totals = np.cumsum([[0, 0, 0, 0]] + [list(part)[1:] for part in counts], axis=0)
        self.starts = totals.tolist()  # of users, training, test and validation items, by shard

    def write(self, batches):
        found = self.splitter.sets(batches)
        if found is None:
            return
        shard = self.parts.index(_partition())
        first_user, *first_items = self.starts[shard]
        written = []
        names = [("user_offsets", "positive_items"), ("test_offsets", "test_items")]
        if self.splitter.has_validation:
            names.append(("validation_offsets", "validation_items"))
        for (offsets_name, items_name), (rows, items), first in zip(names, found[1:], first_items, strict=False):
            ends = first + np.cumsum(rows, dtype=np.int64)
            offsets = np.concatenate([[0], ends]) if shard == 0 else ends
            written.append(self._write_array(shard, offsets_name, offsets.astype("<i8"), first_user + (shard > 0)))
            written.append(self._write_array(shard, items_name, items.astype("<i4"), first))
        yield _batch(_WRITTEN, [[_partition()] * len(written), *map(list, zip(*written, strict=True))])

    def _write_array(self, shard, name, values, first):
        path = os.path.join(self.folder, f"{name}.{shard:05}.npy")
        return name, len(values), _write(path, values, 4096, first * values.itemsize % 4096)


def _partition():
    from pyspark import TaskContext

    return TaskContext.get().partitionId()


def _batch(schema, columns):
    import pyarrow

    return pyarrow.RecordBatch.from_arrays(
        [pyarrow.array(values) for values in columns], [field.split()[0] for field in schema.split(", ")]
    )


# ---- files


def _write(path, values, modulus, remainder):
    """Writes a .npy file whose header has a length of `remainder` modulo `modulus`. Returns the values' CRC-32C."""
    text = f"{{'descr': '{values.dtype.str}', 'fortran_order': False, 'shape': ({len(values)},), }}".encode()
    text += b" " * ((remainder - len(text) - 11) % modulus) + b"\n"
    content = values.tobytes()
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content)
        f.flush()
        os.fsync(f.fileno())
    return crc32c.crc32c(content)


def _arrays_of(written, parts):
    """Returns the entries of arrays in shards.json, from the rows that the writers returned."""
    arrays = {}
    for entry in sorted(written, key=lambda entry: parts.index(entry.part)):
        dtype = "<i8" if entry.name.endswith("_offsets") else "<i4"
        array = arrays.setdefault(entry.name, {"dtype": dtype, "length": 0, "shards": []})
        array["length"] += entry.length
        array["shards"].append({"length": entry.length, "crc32c": f"{entry.crc32c:08x}"})
    return arrays


def _write_ids(folder, name, values):
    """Writes ids: numbers, or text with offsets. Returns the entries in shards.json."""
    if isinstance(values[0], int):
        arrays = {name: np.array(values, "<i8")}
    else:
        encoded = [str(value).encode() for value in values]
        offsets = np.cumsum([0, *map(len, encoded)], dtype="<i8")
        arrays = {f"{name}_offsets": offsets, f"{name}_bytes": np.frombuffer(b"".join(encoded), np.uint8)}
    return {
        array: {
            "dtype": content.dtype.str,
            "length": len(content),
            "crc32c": f"{_write(os.path.join(folder, f'{array}.npy'), content, 64, 0):08x}",
        }
        for array, content in arrays.items()
    }

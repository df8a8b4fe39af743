"""Pickles of datasets: the path and digest of one that was loaded, or the arrays. Of Shards: path and digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from negpipe import _native, columns, errors

if TYPE_CHECKING:
    from negpipe.dataset import Dataset
    from negpipe.shards import Shards


def reduced(data: Dataset) -> tuple:
    """What Dataset.__reduce__ returns."""
    if data._path is not None:
        return _reload, (data._path, data.digest, data._shard)
    arrays = (
        data.user_offsets,
        data.positive_items,
        data._native.heldout(validation=False),
        data._native.heldout(validation=True) if data.has_validation else None,
    )
    return _rebuild, (arrays, data._native.user_ids(), data._native.item_ids(), data._native.source, data.summary)


def _reload(path: str, digest: str, shard: int | None) -> Dataset:
    from negpipe.dataset import Dataset
    from negpipe.shards import Shards

    data = Dataset.load(path) if shard is None else Shards(path).load(shard)
    if data.digest != digest:
        raise errors.FormatError(f"{path} was changed: its digest is {data.digest}, and was {digest} when pickled")
    return data


def reopen_shards(path: str, digest: str, count: int) -> Shards:
    """What Shards.__reduce__ returns."""
    from negpipe.shards import Shards

    shards = Shards(path)
    if (shards.digest, len(shards)) != (digest, count):
        raise errors.FormatError(
            f"{path} was changed: its digest is {shards.digest} in {len(shards)} shards, and was {digest} in {count} "
            "shards when pickled"
        )
    return shards


def _rebuild(arrays, user_ids, item_ids, source, summary) -> Dataset:
    from negpipe.dataset import Dataset

    user_ids, item_ids = (
        [columns.as_utf8(id, "ids") for id in ids] if isinstance(ids, list) else ids for ids in (user_ids, item_ids)
    )
    return Dataset(_native.from_parts(*arrays, user_ids, item_ids, source), summary=summary)

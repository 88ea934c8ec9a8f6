"""What a commit to ClickHouse says, and which rows are live after it.

A commit carries the whole state of its table: the batches whose rows are live, and the parts of them that later writes
replaced. To read is to take the newest commit, or the newest that is not younger than a time, and the rows it names.
What does not belong here: SQL (`clickhouse.py`, `clickhouse_ddl.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from factor_assets.storage.slice import Slice
from factor_assets.storage.store import Provenance, Version
from factor_assets.tables import Table

_FIRST_DAY, _LAST_DAY = -(2**31), 2**31 - 1
_EPOCH = date(1970, 1, 1).toordinal()

SCHEMA = pa.schema(
    {
        "table_name": pa.string(),
        "number": pa.uint64(),
        "batch": pa.uint64(),
        "operation": pa.string(),
        "slice_start": pa.string(),
        "slice_end": pa.string(),
        "slice_tickers": pa.list_(pa.string()),
        "n_rows": pa.uint64(),
        "digest": pa.string(),
        "source": pa.string(),
        "provenance": pa.string(),
        "column_names": pa.list_(pa.string()),
        "live": pa.list_(pa.uint64()),
        "hidden_batches": pa.list_(pa.uint64()),
        "hidden_starts": pa.list_(pa.int32()),
        "hidden_ends": pa.list_(pa.int32()),
        "hidden_tickers": pa.list_(pa.list_(pa.string())),
        "deleted": pa.list_(pa.uint64()),
        "previous_at": pa.timestamp("us", tz="UTC"),
    }
)
"""Columns of a commit as they are inserted; the server adds `committed_at`."""

DESCRIPTION = [name for name in SCHEMA.names if not name.startswith(("live", "hidden"))] + ["committed_at"]
"""Columns that say what a commit was, without the state of the table after it."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """A part of a batch that a later write replaced; days since 1970 from `start` to `end` exclusive."""

    batch: int
    start: int
    end: int
    tickers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class State:
    """Batches whose rows are live, in the order of their commits, but for the hidden parts of them."""

    live: tuple[int, ...] = ()
    hidden: tuple[Hidden, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit without the state after it.

    Parameters
    ----------
    digest
        Of the rows; equal exactly for equal rows.
    columns
        Columns that an open table held when it was made.
    deleted
        Batches whose rows maintenance deleted.
    """

    version: Version
    number: int
    batch: int
    digest: str
    columns: tuple[str, ...]
    deleted: frozenset[int]


def commit_row(
    *,
    table: str,
    number: int,
    batch: int,
    operation: str,
    part: Slice,
    n_rows: int,
    digest: str,
    provenance: Provenance,
    columns: Sequence[str],
    state: State,
    deleted: Sequence[int] = (),
    previous_at: datetime,
) -> pa.Table:
    """Return a commit as the one row to insert."""
    origin = {
        "run_id": provenance.run_id,
        "code_version": provenance.code_version,
        "inputs": dict(provenance.inputs),
    }
    row = {
        "table_name": table,
        "number": number,
        "batch": batch,
        "operation": operation,
        "slice_start": part.start and part.start.isoformat(),
        "slice_end": part.end and part.end.isoformat(),
        "slice_tickers": sorted(part.tickers or ()),
        "n_rows": n_rows,
        "digest": digest,
        "source": provenance.source,
        "provenance": json.dumps(origin, ensure_ascii=False),
        "column_names": list(columns),
        "live": list(state.live),
        "hidden_batches": [h.batch for h in state.hidden],
        "hidden_starts": [h.start for h in state.hidden],
        "hidden_ends": [h.end for h in state.hidden],
        "hidden_tickers": [sorted(h.tickers or ()) for h in state.hidden],
        "deleted": list(deleted),
        "previous_at": previous_at,
    }
    return pa.Table.from_pylist([row], schema=SCHEMA)


def commit_of(row: Mapping[str, Any]) -> Commit:
    """Rebuild a commit from its stored row."""
    origin = json.loads(row["provenance"])
    start, end, tickers = row["slice_start"], row["slice_end"], row["slice_tickers"]
    version = Version(
        table=row["table_name"],
        id=str(row["number"]),
        committed_at=row["committed_at"].astimezone(UTC),
        operation=row["operation"],
        slice=Slice(
            start=start and date.fromisoformat(start),
            end=end and date.fromisoformat(end),
            tickers=frozenset(tickers) or None,
        ),
        n_rows=row["n_rows"],
        provenance=Provenance(
            source=row["source"],
            run_id=origin["run_id"],
            code_version=origin["code_version"],
            inputs=origin["inputs"],
        ),
    )
    return Commit(
        version=version,
        number=row["number"],
        batch=row["batch"],
        digest=row["digest"],
        columns=tuple(row["column_names"]),
        deleted=frozenset(row["deleted"]),
    )


def state_of(row: Mapping[str, Any]) -> State:
    """Rebuild the state after a commit from its stored row."""
    parts = zip(row["hidden_batches"], row["hidden_starts"], row["hidden_ends"], row["hidden_tickers"], strict=True)
    return State(tuple(row["live"]), tuple(Hidden(b, s, e, frozenset(t) or None) for b, s, e, t in parts))


def added(state: State, batch: int) -> State:
    """Return the state after rows were added."""
    return replace(state, live=(*state.live, batch))


def replaced(state: State, part: Slice, batch: int | None, slices: Mapping[int, Slice]) -> State:
    """Return the state after a write of `part`.

    A batch that it replaces wholly is live no longer; of one that it touches, the part is hidden.

    Parameters
    ----------
    batch
        The rows written; None if there were none.
    slices
        What the commit of each live batch was about; everything where rows were added.
    """
    bounds = _bounds(part)
    live, hidden = [], [h for h in state.hidden if not _covers(bounds, (h.start, h.end, h.tickers))]
    for old in state.live:
        whole = _bounds(slices[old])
        if not part.overlaps(slices[old]):
            live.append(old)
            continue
        parts = _merged([*(h for h in hidden if h.batch == old), Hidden(old, *bounds)])
        hidden = [h for h in hidden if h.batch != old]
        if not any(_covers((h.start, h.end, h.tickers), whole) for h in parts):
            live.append(old)
            hidden += parts
    return State((*live, batch) if batch is not None else tuple(live), tuple(hidden))


def digest_of(table: Table, rows: pa.Table) -> str:
    """Return a digest of conformed rows, texts encoded or not: equal exactly for equal rows.

    A column of an open table that is all null counts as absent, since that is how it reads.
    """
    fixed = {c.name for c in table.columns} if not table.open else set(table.key) | {"source"}
    digest = sha256()  # twice as fast here as BLAKE2
    for name in sorted(rows.column_names):
        column = rows[name]
        if column.null_count == len(column) and name not in fixed:
            continue
        digest.update(f"{name}:{len(column)}:{column.null_count};".encode())
        if column.null_count:
            digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        if pa.types.is_string(column.type) or pa.types.is_dictionary(column.type):
            encoded = column.combine_chunks().dictionary_encode()
            digest.update(json.dumps(encoded.dictionary.to_pylist()).encode())
            digest.update(encoded.indices.fill_null(0).to_numpy().tobytes())
        else:
            filled = column.cast(_plain(column.type))
            filled = filled.fill_null(0) if column.null_count else filled
            digest.update(np.ascontiguousarray(filled.to_numpy()).tobytes())
    return digest.hexdigest()


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type as which the bits of a value are hashed."""
    if pa.types.is_floating(kind):
        return kind
    return pa.int32() if pa.types.is_date32(kind) else pa.int64() if not pa.types.is_boolean(kind) else pa.int8()


def _bounds(part: Slice) -> tuple[int, int, frozenset[str] | None]:
    start = _FIRST_DAY if part.start is None else part.start.toordinal() - _EPOCH
    end = _LAST_DAY if part.end is None else part.end.toordinal() - _EPOCH
    return start, end, part.tickers


def _covers(outer: tuple[int, int, frozenset[str] | None], inner: tuple[int, int, frozenset[str] | None]) -> bool:
    if outer[0] > inner[0] or outer[1] < inner[1]:
        return False
    return outer[2] is None or (inner[2] is not None and inner[2] <= outer[2])


def _merged(parts: Sequence[Hidden]) -> list[Hidden]:
    """Return the parts of one batch with those joined that make one part: dates that adjoin, tickers of equal dates."""
    by_dates: dict[tuple[int, int], frozenset[str] | None] = {}
    for p in parts:
        held = by_dates.get((p.start, p.end), frozenset())
        by_dates[p.start, p.end] = None if held is None or p.tickers is None else held | p.tickers
    joined: list[Hidden] = []
    for (start, end), tickers in sorted(by_dates.items(), key=lambda item: (sorted(item[1] or ()), item[0])):
        last = joined[-1] if joined else None
        if last is not None and last.tickers == tickers and start <= last.end:
            joined[-1] = replace(last, end=max(last.end, end))
        else:
            joined.append(Hidden(parts[0].batch, start, end, tickers))
    return joined

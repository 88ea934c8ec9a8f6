"""`restore`: bring the rows of an earlier version back, as a new version, so that it can be undone in the same way.

What does not belong here: how a store reads an earlier version (`Store.read(as_of=)`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa

from factor_assets.errors import StoreError
from factor_assets.storage.copying import LEDGERS
from factor_assets.storage.rows import widened
from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Store, Version, newest_write, version_as_of
from factor_assets.tables import table as declared_table


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How the rows of an earlier version differ from those of today; a changed row counts on both sides.

    Parameters
    ----------
    version
        The earlier one.
    n_then, n_now
        Rows of the slice in each.
    n_only_then, n_only_now
        Rows that the other does not have, value for value: what a restore brings back, and what it takes away.
    """

    version: Version
    n_then: int
    n_now: int
    n_only_then: int
    n_only_now: int


def restore(store: Store, table: str, as_of: datetime | str, part: Slice = EVERYTHING) -> Version:
    """Write the rows of `part` as they were then; where nothing differs, return the version that holds them.

    The new version has the source, code version and inputs of the earlier one; its run says what was restored.

    Parameters
    ----------
    as_of
        A time (zone required) or a version's id.

    Raises
    ------
    StoreError
        If the table did not exist then, the version is not known, its rows are gone, or the table is a ledger, whose
        rows nothing replaces.
    """
    version = _version(store, table, as_of)
    rows = store.read(table, part, as_of=version.id)
    versions = store.versions(table)
    # A commit that only compacted files knows nothing of the rows.
    writer = newest_write(versions[versions.index(version) :], part) or version
    run_id = f"restored from version {version.id}"
    return store.write(table, part, rows, provenance=replace(writer.provenance, run_id=run_id))


def difference(store: Store, table: str, as_of: datetime | str, part: Slice = EVERYTHING) -> Difference:
    """Count what `restore` with the same arguments would change; nothing is written.

    Raises
    ------
    StoreError
        As in `restore`.
    """
    version = _version(store, table, as_of)
    then, now = store.read(table, part, as_of=version.id), store.read(table, part)
    whole = declared_table(table).holding(then.column_names).holding(now.column_names)
    counts = (
        _counts(widened(whole, then), "then")
        .join(_counts(widened(whole, now), "now"), on=whole.column_names, how="full", nulls_equal=True)
        .select(pl.col("then", "now").fill_null(0).cast(pl.Int64))
        .select(
            then=(pl.col("then") - pl.col("now")).clip(lower_bound=0).sum(),
            now=(pl.col("now") - pl.col("then")).clip(lower_bound=0).sum(),
        )
    )
    only_then, only_now = counts.row(0)
    return Difference(
        version=version, n_then=then.num_rows, n_now=now.num_rows, n_only_then=only_then, n_only_now=only_now
    )


def moment(text: str, versions: Sequence[Version]) -> datetime | str:
    """Read what a user types as a version's id or a time; a time without zone is UTC, a date its first moment.

    Parameters
    ----------
    versions
        Those of the table; what is the id of one of them is no time.

    Raises
    ------
    StoreError
        If it is neither.
    """
    if any(version.id == text for version in versions):
        return text
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        known = ", ".join(version.id for version in versions[:5]) or "none, since it was never written"
        raise StoreError(
            f"{text!r} is neither a version of the table nor a time such as 2024-01-31 or 2024-01-31T18:00;"
            f" its newest versions are {known}."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _version(store: Store, table: str, as_of: datetime | str) -> Version:
    """Return the version that was current then."""
    if table in LEDGERS:
        raise StoreError(f"The table {table!r} is a ledger: rows are added to it and nothing replaces them.")
    versions = store.versions(table)
    version = version_as_of(table, versions, as_of)
    if version is None:
        oldest = f"its oldest version is of {versions[-1].committed_at:%Y-%m-%d %H:%M:%S} UTC" if versions else ""
        raise StoreError(f"Table {table!r} did not exist at {as_of}; {oldest or 'it was never written'}.")
    return version


def _counts(rows: pa.Table, name: str) -> pl.DataFrame:
    """How often each row occurs."""
    return pl.DataFrame(rows).group_by(rows.column_names).agg(pl.len().alias(name))

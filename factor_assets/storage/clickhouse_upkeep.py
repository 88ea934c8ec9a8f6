"""Maintenance of the ClickHouse store: deleting rows that no version needs, and joining what many small writes left.

What does not belong here: reading and writing (`clickhouse.py`). ClickHouse merges its files by itself.

What maintenance gives up it says in a commit first, and deletes after: a reader that meets missing rows finds that
commit and reads again, and maintenance that was killed between the two deletes the next time.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse_commits import State, commit_row
from factor_assets.storage.clickhouse_ddl import BATCH, COMMITS, Stored, quoted, stored
from factor_assets.storage.clickhouse_log import History, NumberLost
from factor_assets.storage.slice import EVERYTHING
from factor_assets.storage.store import Maintenance, Provenance
from factor_assets.tables import table as declared_table

if TYPE_CHECKING:
    from factor_assets.storage.clickhouse import ClickHouseStore

# Readers that begin before maintenance says what it deletes have this long to end, or else look again.
NOTICE_S = 1.0

# Rows that no commit names may belong to a writer at work; after a day they cannot.
_ORPHAN_AGE = timedelta(days=1)
# A state of more batches, or of more parts of them that are hidden, is joined to one batch.
_MANY_BATCHES, _MANY_HIDDEN = 1000, 50
_AT_ONCE = 5000


def maintained(store: "ClickHouseStore", keep: timedelta) -> list[Maintenance]:
    """Maintain every place where rows are; see `Store.maintain`.

    Returns
    -------
    One entry a table of rows, such as "factor_values" for all factors; `files_deleted` counts batches of rows.

    Raises
    ------
    StoreError
        If `keep` is negative.
    """
    if keep < timedelta(0):
        raise StoreError(f"maintain wants the age of the versions to keep, at least 0; got {keep}.")
    places: dict[str, tuple[Stored, list[str]]] = {}
    for name in store.tables():
        place = stored(declared_table(name))
        places.setdefault(place.name, (place, []))[1].append(name)
    return [_maintain(store, place, names, keep) for place, names in places.values()]


def _maintain(store: "ClickHouseStore", place: Stored, names: Sequence[str], keep: timedelta) -> Maintenance:
    files_before, bytes_before = _sizes(store, place)
    now = store.query("SELECT now64(6, 'UTC') AS now")["now"][0].as_py()
    committed: set[int] = set()
    given_up: set[int] = set()
    gives_up = False
    for name in names:
        _join(store, name)
        gives_up = _give_up(store, name, now - keep) or gives_up
        history = store.log.history(name)
        committed |= {c.batch for c in history.commits}
        given_up |= {batch for c in history.commits for batch in c.deleted}
    if gives_up:
        time.sleep(NOTICE_S)
    sql = f"SELECT DISTINCT {BATCH} AS batch FROM {quoted(store.database, place.rows)}"  # noqa: S608 quoted and bound
    there = store.query(f"{sql} ORDER BY batch")["batch"].to_pylist()
    delete = [batch for batch in there if batch in given_up]
    if keep >= _ORPHAN_AGE:
        old = store.query(
            f"SELECT batch FROM ({sql})"  # noqa: S608 quoted and bound
            " WHERE snowflakeIDToDateTime64(batch) < now64() - toIntervalSecond({age:Int64})",
            {"age": int(_ORPHAN_AGE.total_seconds())},
        )["batch"].to_pylist()
        delete += [batch for batch in old if batch not in committed]
    for first in range(0, len(delete), _AT_ONCE):
        target = place.local if store.cluster else place.rows
        on = f" ON CLUSTER {quoted(store.cluster)}" if store.cluster else ""
        store.connection.command(
            f"ALTER TABLE {quoted(store.database, target)}{on} DELETE WHERE {BATCH} IN {{batches:Array(UInt64)}}"
            " SETTINGS mutations_sync = 1",
            {"batches": delete[first : first + _AT_ONCE]},
        )
    files_after, bytes_after = _sizes(store, place)
    return Maintenance(
        table=place.name,
        files_before=files_before,
        files_after=files_after,
        bytes_before=bytes_before,
        bytes_after=bytes_after,
        files_deleted=len(delete),
    )


def _give_up(store: "ClickHouseStore", name: str, cutoff: datetime) -> bool:
    """Commit that the batches are given up that no version younger than the cutoff needs; are there any."""
    history = store.log.history(name)
    current = [c for c in history.commits if c.version.committed_at <= cutoff][-1:]
    kept = [*current, *(c for c in history.commits if c.version.committed_at > cutoff)]
    first = kept[0].number
    needed = store.query(
        f"SELECT DISTINCT arrayJoin(live) AS batch FROM {quoted(store.database, COMMITS)}"  # noqa: S608 quoted and bound
        " WHERE table_name = {table:String} AND number >= {first:UInt64}",
        {"table": name, "first": first},
    )["batch"].to_pylist()
    gone = {batch for c in history.commits for batch in c.deleted}
    dead = {c.batch for c in history.commits if c.version.n_rows and c.number < history.commits[-1].number}
    dead -= {*needed, *gone}
    if dead:
        _commit(
            store, name, history, history.state, batch=store.tables_of_rows.new_batch(), deleted=sorted(dead), n_rows=0
        )
    return bool(dead)


def _join(store: "ClickHouseStore", name: str) -> None:
    """Write the live rows of a table as one batch, where reading them has become a matter of many."""
    history = store.log.history(name)
    if len(history.state.live) <= _MANY_BATCHES and len(history.state.hidden) <= _MANY_HIDDEN:
        return
    declared = declared_table(name).holding(history.columns)
    rows = store.rows_of(declared, history, EVERYTHING, declared.column_names)
    if rows is None:
        return
    batch = store.insert(declared, rows) if rows.num_rows else store.tables_of_rows.new_batch()
    live = State((batch,)) if rows.num_rows else State()
    _commit(store, name, history, live, batch=batch, deleted=(), n_rows=rows.num_rows)


def _commit(
    store: "ClickHouseStore",
    name: str,
    history: History,
    state: State,
    *,
    batch: int,
    deleted: Sequence[int],
    n_rows: int,
) -> None:
    """Commit maintenance on top of a history; where a writer was faster, the next maintenance does it."""
    newest = history.commits[-1]
    number = newest.number + 1
    while True:
        row = commit_row(
            table=name,
            number=number,
            batch=batch,
            operation="maintain",
            part=EVERYTHING,
            n_rows=n_rows,
            digest="",
            provenance=Provenance(source=newest.version.provenance.source),
            columns=(),
            state=state,
            deleted=deleted,
            previous_at=newest.version.committed_at,
        )
        try:
            store.log.add(row)
        except NumberLost:
            number += 1
        else:
            return


def _sizes(store: "ClickHouseStore", place: Stored) -> tuple[int, int]:
    """Number of files and of bytes of a table of rows."""
    found = store.query(
        "SELECT count() AS files, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = {d:String}"
        " AND table IN {t:Array(String)}",
        {"d": store.database, "t": [place.rows, place.local]},
    )
    return int(found["files"][0].as_py()), int(found["bytes"][0].as_py() or 0)

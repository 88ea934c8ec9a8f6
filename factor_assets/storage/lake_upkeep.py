"""Upkeep of a Delta table: joining small files, and deleting those that no version younger than some age needs.

What does not belong here: which tables there are, and what is tried again (`lake.py`).
"""

from datetime import timedelta
from functools import partial

from deltalake import CommitProperties, DeltaTable

from factor_assets.storage.commits import commit_metadata
from factor_assets.storage.slice import EVERYTHING
from factor_assets.storage.snapshots import file_sizes, source_of
from factor_assets.storage.store import Maintenance, Provenance

# A file that no commit names may belong to a writer at work; after a day it cannot.
_ORPHAN_AGE = timedelta(days=1)


def maintained(table: str, snapshot: DeltaTable, keep: timedelta) -> Maintenance:
    """Maintain one table and say what was done; hours are the finest unit of `keep`."""
    before = file_sizes(snapshot)
    commit = CommitProperties(
        custom_metadata=commit_metadata("maintain", EVERYTHING, 0, Provenance(source=source_of(snapshot)))
    )
    snapshot.optimize.compact(commit_properties=commit)
    # Only a full vacuum sees files that no commit names; those younger than a day may be a writer's at work.
    vacuum = partial(
        snapshot.vacuum,
        retention_hours=-(-keep // timedelta(hours=1)),
        enforce_retention_duration=False,
        full=keep >= _ORPHAN_AGE,
        commit_properties=commit,
    )
    deleted = vacuum(dry_run=True)
    if deleted:
        vacuum(dry_run=False)
    snapshot.create_checkpoint()
    after = file_sizes(snapshot)
    return Maintenance(
        table=table,
        files_before=len(before),
        files_after=len(after),
        bytes_before=sum(before),
        bytes_after=sum(after),
        files_deleted=len(deleted),
    )

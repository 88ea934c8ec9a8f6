"""What a commit says about itself: a `Version` as JSON in the commit's metadata, and back.

What does not belong here: reading and writing rows (`lake.py`).
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from factor_assets.storage.slice import EVERYTHING, Slice
from factor_assets.storage.store import Provenance, Version

COMMIT_KEY = "factor_assets"
_UPKEEP = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END"})


def commit_metadata(operation: str, part: Slice, n_rows: int, provenance: Provenance) -> dict[str, str]:
    """Return the custom metadata of a commit, from which `version_of` rebuilds the `Version`."""
    content = {
        "operation": operation,
        "slice": {
            "start": part.start and part.start.isoformat(),
            "end": part.end and part.end.isoformat(),
            "tickers": part.tickers and sorted(part.tickers),
        },
        "n_rows": n_rows,
        "source": provenance.source,
        "run_id": provenance.run_id,
        "code_version": provenance.code_version,
        "inputs": dict(provenance.inputs),
        # Tells this commit from an equal one of another writer.
        "commit": uuid4().hex,
    }
    return {COMMIT_KEY: json.dumps(content, ensure_ascii=False)}


def version_of(table: str, commit: Mapping[str, Any]) -> Version:
    """Rebuild a `Version` from one entry of the table's history.

    A commit of another program counts as a write of everything, unless it is upkeep that changes no row.
    """
    committed_at = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
    version_id = str(commit["version"])
    if COMMIT_KEY not in commit:
        return Version(
            table=table,
            id=version_id,
            committed_at=committed_at,
            operation="maintain" if commit.get("operation") in _UPKEEP else "write",
            slice=EVERYTHING,
            n_rows=0,
            provenance=Provenance(source=""),
        )
    content = json.loads(commit[COMMIT_KEY])
    start, end, tickers = (content["slice"][side] for side in ("start", "end", "tickers"))
    return Version(
        table=table,
        id=version_id,
        committed_at=committed_at,
        operation=content["operation"],
        slice=Slice(
            start=start and date.fromisoformat(start),
            end=end and date.fromisoformat(end),
            tickers=tickers and frozenset(tickers),
        ),
        n_rows=content["n_rows"],
        provenance=Provenance(
            source=content["source"],
            run_id=content["run_id"],
            code_version=content["code_version"],
            inputs=content["inputs"],
        ),
    )

"""A process that writes to a lake, for the tests of concurrent and of killed writers.

A root in a bucket takes endpoint and credentials from the AWS environment.

`python -m factor_assets_tests.storage.lake_writer day <root> <first day> <n>`: writes n days of a factor, one by one,
then the first day of the month, which every other writer writes too.
`python -m factor_assets_tests.storage.lake_writer endless <root> <first generation> <n>`: rewrites both whole tables
with the generation's number, n times, and maintains them now and then; says so before the first one.
`python -m factor_assets_tests.storage.lake_writer append <root> <first trial> <n>`: adds n trials, one by one.
"""

import sys
from datetime import date, timedelta

import pyarrow as pa

from factor_assets.storage.lake import LakeStore
from factor_assets.storage.slice import EVERYTHING
from factor_assets_tests.storage.market_rows import (
    FACTOR,
    PROVENANCE,
    block,
    factor_rows,
    history_rows,
    span,
    trial_rows,
)

MAINTAINED_EACH = 3
MONTH = date(2020, 3, 1)
TICKERS = [f"T{n:02d}" for n in range(20)]
DAYS = 200


def generation(number: int) -> dict[str, pa.Table]:
    """Rows of one generation of each table; every number in them is the generation's."""
    history = history_rows(TICKERS, 30)
    price = pa.array([float(number)] * history.num_rows)
    return {
        FACTOR: factor_rows(block(date(2020, 1, 1), DAYS, TICKERS, value=float(number))),
        "price_history": history.set_column(history.column_names.index("close"), "close", price),
    }


def main() -> None:
    what, root, first, n = sys.argv[1:]
    store = LakeStore(root)
    if what == "day":
        for day in range(int(first), int(first) + int(n)):
            part = span(MONTH + timedelta(days=day), 1)
            rows = factor_rows(block(part.start, 1, TICKERS, value=float(day)))
            version = store.write(FACTOR, part, rows, provenance=PROVENANCE)
            assert (version.slice, version.n_rows) == (part, rows.num_rows), "the version of another writer"
        rows = factor_rows(block(MONTH, 1, TICKERS, value=float(first)))
        store.write(FACTOR, span(MONTH, 1), rows, provenance=PROVENANCE)
    elif what == "append":
        for number in range(int(first), int(first) + int(n)):
            version = store.append("trials", trial_rows(number), provenance=PROVENANCE)
            assert (version.operation, version.n_rows) == ("append", 1), "the version of another writer"
    else:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for number in range(int(first), int(first) + int(n)):
            for table, rows in generation(number).items():
                store.write(table, EVERYTHING, rows, provenance=PROVENANCE)
            if number % MAINTAINED_EACH == 0:
                # With an age, so that no reader misses a file.
                store.maintain(keep=timedelta(hours=1))


if __name__ == "__main__":
    main()

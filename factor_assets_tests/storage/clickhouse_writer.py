"""A process that writes to ClickHouse, for the tests of concurrent and of killed writers.

`python -m factor_assets_tests.storage.clickhouse_writer <what> <host> <port> <user> <database> <first> <n>`, with the
password in CLICKHOUSE_PASSWORD. `day`: writes n days of a factor, one by one, then the first day of the month, which
every other writer writes too. `append`: adds n trials, one by one. `endless`: rewrites whole tables with the number of
a generation, n times, maintains them now and then, and goes on when the server fails. `forks`: for each line "first n"
on standard input, forks a process that does as `endless`, and says its number: importing takes longer than the writes
that are to be killed.
"""

import os
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from factor_assets.errors import StoreError
from factor_assets.storage.clickhouse import ClickHouseStore
from factor_assets.storage.slice import EVERYTHING
from factor_assets.store_settings import ClickHouseSettings
from factor_assets_tests.storage.lake_writer import MONTH, TICKERS, generation
from factor_assets_tests.storage.market_rows import FACTOR, PROVENANCE, block, factor_rows, span, trial_rows

MAINTAINED_EACH = 3


def endless(store: ClickHouseStore, first: int, n: int) -> None:
    for number in range(first, first + n):
        for table, rows in generation(number).items():
            try:
                store.write(table, EVERYTHING, rows, provenance=PROVENANCE)
            except StoreError:
                time.sleep(0.05)
        if number % MAINTAINED_EACH == 0:
            with suppress(StoreError):
                store.maintain(keep=timedelta(0))


def main() -> None:
    what, host, port, user, database, first, n = sys.argv[1:]

    def opened() -> ClickHouseStore:
        settings = ClickHouseSettings(host=host, port=int(port), user=user, database=database, timeout=30.0)
        return ClickHouseStore(settings, password=os.environ["CLICKHOUSE_PASSWORD"], chdb_path=Path("unused"))

    numbers = range(int(first), int(first) + int(n))
    if what == "day":
        store = opened()
        for day in numbers:
            part = span(MONTH + timedelta(days=day), 1)
            rows = factor_rows(block(part.start, 1, TICKERS, value=float(day)))
            version = store.write(FACTOR, part, rows, provenance=PROVENANCE)
            assert (version.slice, version.n_rows) == (part, rows.num_rows), "the version of another writer"
        rows = factor_rows(block(MONTH, 1, TICKERS, value=float(first)))
        store.write(FACTOR, span(MONTH, 1), rows, provenance=PROVENANCE)
    elif what == "append":
        store = opened()
        for number in numbers:
            version = store.append("trials", trial_rows(number), provenance=PROVENANCE)
            assert (version.operation, version.n_rows) == ("append", 1), "the version of another writer"
    elif what == "endless":
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        endless(opened(), int(first), int(n))
    else:
        import clickhouse_connect  # noqa: F401 before the fork, once for all of them

        for line in sys.stdin:
            child = os.fork()
            if child == 0:
                try:
                    endless(opened(), *map(int, line.split()))
                finally:
                    os._exit(0)
            sys.stdout.write(f"{child}\n")
            sys.stdout.flush()
            os.waitpid(child, 0)
            sys.stdout.write("gone\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

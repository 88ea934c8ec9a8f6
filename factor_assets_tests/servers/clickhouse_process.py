"""The process of the ClickHouse server of `clickhouse.py`, whose one argument is the folder with its settings."""

import ctypes
import os
import signal
import sys

import chdb  # before changing directory: it looks for its library relative to it

# A query that never ends keeps the engine's process serving.
SERVE = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT sleepEachRow(1) FROM system.numbers FORMAT Null SETTINGS"
    " max_block_size=1, function_sleep_max_microseconds_per_block=0, max_execution_time=0"
)

if __name__ == "__main__":
    # PR_SET_PDEATHSIG: it ends with the process that started it, however that one ends.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.chdir(sys.argv[1])
    chdb._chdb.query(SERVE, "TSV", path=os.path.join(sys.argv[1], "data"))  # noqa: PTH118 as the engine wants it

"""What evidence over all sessions wants of the rows that it summarises: one universe, one source, and each row once.

What does not belong here: reading the rows, and cutting them by factor (`timeseries.rows_by_factor`).
"""

import numpy as np
import pyarrow as pa

from factor_assets.errors import EvaluationError
from factor_assets.tables import table


def require_market(kind: str, rows: pa.Table, *, universe: str, source: str) -> None:
    """Refuse rows of a table that are of another universe or source than those wanted.

    Raises
    ------
    EvaluationError
        If there are any; the message names the table and what it also holds.
    """
    for column, wanted in (("universe", universe), ("source", source)):
        strange = sorted(set(rows[column].unique().to_pylist()) - {wanted})
        if strange:
            raise EvaluationError(
                f"What is of {column} {wanted!r} wants rows of it alone, but {kind} also has {strange};"
                f" materialise {kind} again."
            )


def require_distinct(kind: str, rows: pa.Table) -> None:
    """Refuse rows of a table that share its key: whatever is counted or averaged would count them twice.

    Raises
    ------
    EvaluationError
        If two rows share the key; the message names the table and how many rows are too many.
    """
    code = np.zeros(rows.num_rows, dtype=np.int64)
    for column in table(kind).key:
        encoded = rows[column].combine_chunks().dictionary_encode()
        code = code * max(len(encoded.dictionary), 1) + encoded.indices.to_numpy(zero_copy_only=False)
    n_more = rows.num_rows - len(np.unique(code))
    if n_more:
        raise EvaluationError(
            f"Evidence wants every row of {kind} once, but {n_more} of {rows.num_rows} are there again; materialise"
            f" {kind} again."
        )

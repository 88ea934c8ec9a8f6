"""`Column`: how one stored quantity is declared.

What does not belong here: the columns themselves (`columns.py`, `document_columns.py`).
"""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One stored quantity.

    Parameters
    ----------
    type
        Arrow type of the stored values.
    unit
        Unit in words; "" for names and counts of nothing.
    meaning
        One sentence.
    nullable
        Whether a missing value is allowed. A missing number is null, never 0.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    nullable: bool = True


DATE, TEXT, NUMBER, COUNT = pa.date32(), pa.string(), pa.float64(), pa.int64()
FLAG, TIME = pa.bool_(), pa.timestamp("us", tz="UTC")


def column(name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = True) -> Column:
    """Declare a column."""
    return Column(name=name, type=kind, unit=unit, meaning=meaning, nullable=nullable)


def library_column(name: str, *, unit: str, meaning: str) -> Column:
    """Declare the column of one factor of a library."""
    return Column(name=name, type=NUMBER, unit=unit, meaning=meaning)

"""`Library`: a published set of factors that is one asset, with a column for each.

The module's name in `libraries/` is the library's name; `registry.py` finds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from factor_assets.factors.factor import Factor


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """Factors that were published together.

    Parameters
    ----------
    factors
        Name -> factor, in the order of the publication; the names are the columns of the table.
    cite
        Author (year, journal or address, table).
    description
        What the library is, and where it departs from the publication.
    """

    factors: Mapping[str, Factor]
    cite: str
    description: str

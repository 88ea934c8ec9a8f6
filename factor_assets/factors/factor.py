"""`Factor`: a declaration, that is one expression and where it comes from.

The variable's name is the factor's name, the module's name its family; both are found by `registry.py`. Inputs,
lookback and code version are derived from the expression.
"""

from dataclasses import dataclass
from typing import Literal

from factor_assets.errors import ExpressionError
from factor_assets.expressions import Expression


@dataclass(frozen=True, kw_only=True, slots=True)
class Factor:
    """A number for every date and ticker that may say something about later returns.

    Parameters
    ----------
    expression
        The formula.
    sign
        Direction published: +1 where high values earned more, -1 where they earned less, 0 where nothing is claimed.
        It is recorded, never applied to the values.
    cite
        Author (year, journal, table or equation).
    doi
        Of the publication, where it has one.
    unit
        In words; "" for a ratio. "currency" or "shares" in it says that the value scales with them.
    description
        What the value is, and where it departs from the publication.
    """

    expression: Expression
    sign: Literal[-1, 0, 1]
    cite: str
    doi: str = ""
    unit: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.expression, Expression):
            raise ExpressionError(
                f"A factor wants an expression; got {type(self.expression).__name__}. A formula in text is read by"
                " parse()."
            )
        if self.sign not in (-1, 0, 1):
            raise ExpressionError(f"A factor's sign is -1, 0 or +1; got {self.sign!r}.")

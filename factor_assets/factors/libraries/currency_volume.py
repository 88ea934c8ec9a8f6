"""Currency volume: the value traded over nine horizons, and how shorter horizons compare with longer ones.

What does not belong here: the ticker's number, which the source of these features has as a column of its own (the
ticker names the row), and the label (a forward return, made by the evaluation).
"""

from collections.abc import Iterator

from factor_assets.expressions import Expression, close, delay, dollar_volume, log, sum  # noqa: A004
from factor_assets.factors.factor import Factor
from factor_assets.factors.library import Library

HORIZONS = (5, 10, 22, 44, 66, 126, 252, 504, 756)
PAIRS = (  # (long, short) horizons
    (10, 5),
    (22, 5),
    (44, 5),
    (66, 5),
    (44, 22),
    (66, 22),
    (126, 22),
    (252, 22),
    (126, 66),
    (252, 66),
    (504, 66),
    (756, 66),
    (504, 252),
    (756, 252),
)

_LOG_RETURN = "Campbell, Lo and MacKinlay (1997, The Econometrics of Financial Markets, section 1.4)"
_VALUE_TRADED = "Brennan, Chordia and Subrahmanyam (1998, Journal of Financial Economics 49(3), 345-373)"
_AGAINST_ITS_PAST = "After Gervais, Kaniel and Mingelgrin (2001, Journal of Finance 56(3), 877-919)"


def _declared() -> Iterator[tuple[str, Expression, str, str, str]]:
    yield (
        "log_return",
        log(close / delay(close, 1)),
        "",
        _LOG_RETURN,
        "Logarithm of the total return since the session before: known at t, so a feature and no label.",
    )
    yield "currency_volume", dollar_volume, "currency", _VALUE_TRADED, "Value traded: close times volume, as traded."
    for n in HORIZONS:
        yield (
            f"currency_volume_{n}",
            sum(dollar_volume, n),
            "currency",
            _VALUE_TRADED,
            f"Value traded over the last {n} sessions.",
        )
    for long, short in PAIRS:
        yield (
            f"absolute_change_{long}_{short}",
            sum(dollar_volume, short) - sum(dollar_volume, long),
            "currency",
            _AGAINST_ITS_PAST,
            f"Value traded over the last {short} sessions less that over the last {long}.",
        )
    for long, short in PAIRS:
        yield (
            f"relative_change_{long}_{short}",
            (sum(dollar_volume, short) / short) / (sum(dollar_volume, long) / long),
            "",
            _AGAINST_ITS_PAST,
            f"Mean value traded per session over the last {short} sessions over that of the last {long}.",
        )


LIBRARY = Library(
    factors={
        name: Factor(expression=expression, sign=0, cite=cite, unit=unit, description=description)
        for name, expression, unit, cite, description in _declared()
    },
    cite=_AGAINST_ITS_PAST,
    description=(
        "The features of a cross-sectional long-short stock picker; not published as a set. The log return of the"
        " session, the value traded, its sums over 9 horizons, and for 14 pairs of horizons their absolute and relative"
        " change. Horizons count sessions of the exchange and a sum needs all of them, so the longest begin three years"
        " after a listing. Nothing is imputed and nothing scaled: that belongs to the model, with what was known then."
    ),
)

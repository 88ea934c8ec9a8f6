"""The 101 Formulaic Alphas as a library; the formulas are in `alpha101_1_to_57.py` and `alpha101_58_to_101.py`."""

from factor_assets.expressions import fields
from factor_assets.expressions.expression import walk
from factor_assets.factors.factor import Factor
from factor_assets.factors.libraries.alpha101_1_to_57 import ALPHAS_1_TO_57
from factor_assets.factors.libraries.alpha101_58_to_101 import ALPHAS_58_TO_101
from factor_assets.factors.libraries.alpha101_terms import VWAP, Alpha
from factor_assets.factors.library import Library

_PAPER = "Kakushadze (2016, Wilmott 2016(84), 72-81, appendix A"


def _factor(alpha: Alpha) -> Factor:
    departures = ""
    if VWAP in walk(alpha.expression):
        departures += " The volume-weighted average price is the typical price (high + low + close) / 3."
    if "sector" in fields(alpha.expression):
        departures += " Groups are sectors, at whichever level the publication groups."
    return Factor(
        expression=alpha.expression,
        sign=0,
        cite=f"{_PAPER}, Alpha#{alpha.number})",
        doi="10.1002/wilm.10525",
        unit=alpha.unit,
        description=alpha.description + departures,
    )


LIBRARY = Library(
    factors={f"alpha_{alpha.number:03d}": _factor(alpha) for alpha in (*ALPHAS_1_TO_57, *ALPHAS_58_TO_101)},
    cite=f"{_PAPER})",
    description=(
        "The 101 Formulaic Alphas: short-term signals from prices and volume. They are one firm's selection, meant to"
        " be held long where high; no sign is recorded, for the publication gives no test of each. Windows that are no"
        " whole numbers are rounded down, as published. Departures: the volume-weighted average price is the"
        " typical price; sector, industry and subindustry are all the sector; prices and volumes"
        " are adjusted forwards, so that their levels are those of a share bought at the ticker's first session, while"
        " dollar volume is as traded; a window with a missing value has no value (except in 96 and 97, which would have"
        " next to none), and neither has a division by zero."
    ),
)

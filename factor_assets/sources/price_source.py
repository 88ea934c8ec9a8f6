"""The contract that every source of prices keeps, and how sources are found.

A source is a file in this folder with a factory marked `@price_source("name")`; `data.source = "name"` then chooses it.
What does not belong here: anything about one particular source, and cleaning (`panel/prices.py`).
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

import pyarrow as pa

import factor_assets.sources
from factor_assets.errors import SourceError, did_you_mean
from factor_assets.settings import Settings

OUTSIDE_RANGE = "outside the date range"
IN_THE_FUTURE = "in the future"
NO_DATE = "no readable date"
NO_TICKER = "no ticker"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What one ticker's fetch gave.

    Parameters
    ----------
    outcome
        "loaded": `rows` replace what is stored; "unchanged": what is stored is still right; "failed": nothing is
        known, what is stored stays.
    reason
        Why it failed, or what is worth knowing about the rows; "" when there is nothing to say.
    rows
        The complete new history of the ticker with the schema of table `price_history`, sorted by date; None unless
        loaded. Rows are as delivered: duplicates, holidays and impossible prices stay. A cell that could not be read
        is null and the row's `issue` says why.
    dropped
        Reason -> number of delivered rows that could not be placed at all, such as those without a readable date.
    """

    ticker: str
    outcome: Literal["loaded", "unchanged", "failed"]
    reason: str = ""
    rows: pa.Table | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.outcome == "loaded") != (self.rows is not None):
            raise SourceError(f"A delivery has rows exactly when it is loaded; {self.ticker} is {self.outcome!r}.")
        if self.outcome == "failed" and not self.reason:
            raise SourceError(f"A failed delivery wants a reason; {self.ticker} has none.")


class PriceSource(Protocol):
    """A place that prices come from.

    Attributes
    ----------
    label
        Stored in column `source` of every row that is made from these prices; a synthetic source says so in it.
    synthetic
        Whether the prices are invented.
    has_events
        Whether dividends and splits are delivered. Where they are not, returns follow the adjusted close.
    batch_size
        Tickers that are committed together, so that a long load resumes where it stopped.
    """

    @property
    def label(self) -> str: ...  # noqa: D102 - see Attributes

    @property
    def synthetic(self) -> bool: ...  # noqa: D102 - see Attributes

    @property
    def has_events(self) -> bool: ...  # noqa: D102 - see Attributes

    @property
    def batch_size(self) -> int: ...  # noqa: D102 - see Attributes

    def tickers(self) -> list[str] | None:
        """Return every ticker that the source holds, sorted; None if it can fetch any."""
        ...

    def version(self) -> str:
        """Return a text that changes when what would be delivered may have changed; "" where that is not known."""
        ...

    def fetch(
        self, tickers: Sequence[str], *, start: date, end: date | None, stored: Callable[[str], pa.Table]
    ) -> Iterator[Delivery]:
        """Deliver the tickers one by one, in the order given; a bad one never stops the rest.

        Parameters
        ----------
        start, end
            First and last session wanted, both inclusive; an open end means up to now.
        stored
            Ticker -> its rows of `price_history` as stored, so that only what is new need be fetched.
        """
        ...


Factory = Callable[[Settings], PriceSource]
_FACTORIES: dict[str, Factory] = {}


def price_source(name: str) -> Callable[[Factory], Factory]:
    """Register the decorated factory as the source that `data.source = name` chooses.

    Raises
    ------
    SourceError
        If another file already has the name.
    """

    def register(factory: Factory) -> Factory:
        known = _FACTORIES.get(name)
        if known is not None and known.__module__ != factory.__module__:
            raise SourceError(
                f"Two price sources are named {name!r}: {known.__module__} and {factory.__module__}. Rename one."
            )
        _FACTORIES[name] = factory
        return factory

    return register


def source_names() -> list[str]:
    """Names of the sources in this folder, sorted."""
    for module in pkgutil.iter_modules(factor_assets.sources.__path__, "factor_assets.sources."):
        importlib.import_module(module.name)
    return sorted(_FACTORIES)


def open_source(settings: Settings) -> PriceSource:
    """Return the source that the settings choose.

    Raises
    ------
    SourceError
        If there is no such source, or it cannot be opened as set.
    """
    name = settings.data.source
    names = source_names()
    if name not in names:
        raise SourceError(f"data.source is {name!r}, which is not a price source; {did_you_mean(name, names)}")
    return _FACTORIES[name](settings)

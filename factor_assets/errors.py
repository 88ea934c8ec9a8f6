"""Every exception of the platform, one tree.

FactorAssetsError
├── SettingsError            a setting is missing, malformed or contradicts another
├── SourceError              the outside world did not deliver what was asked
│   ├── MalformedDataError   a file or answer cannot be read as what it should be at all
│   └── ServiceError         an outside service refused, or did not answer in spite of retries
├── UnreadableDocumentError  a report or filing that no text can be read from
├── LanguageModelError       an answer of a language model that is no answer
│   └── BudgetError          the next call could cost more than the run may spend
├── UniverseError            an unknown universe, or one with no known name
├── CalendarError            an unknown exchange, or dates outside its calendar
├── PanelError               rows that cannot form a panel
│   ├── MisalignedError      two arrays do not share dates and tickers
│   └── UnknownFieldError    a field that the panel does not hold
├── ExpressionError          an expression that cannot be built
│   ├── ExpressionSyntaxError  text that does not parse; knows the position
│   └── UnknownFactorError   a factor's name that no declaration has
├── UserFactorError          a file of the user's own factors that cannot be read
├── EvaluationError          evidence that cannot be computed as asked
└── StoreError               storage refused or failed
    ├── UnknownTableError    a table that was never declared or never written
    ├── OutsideSliceError    rows that do not belong to the slice being replaced
    ├── SchemaMismatchError  rows whose columns differ from the declaration
    ├── SourceMixedError     rows of another source than the table holds
    ├── WriteConflictError   other writers kept winning until the retries ran out
    ├── ConnectionLostError  the connection broke: whether the server did what was asked is not known
    └── DocumentError        raw documents cannot be read or written
        └── DocumentNotFoundError  there is no document of that key

A message says what was wanted, what came and what to do; where there are valid choices it names the nearest.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FactorAssetsError(Exception):
    """Base of every error that the platform raises on purpose."""


class SettingsError(FactorAssetsError):
    """A setting is missing, malformed or contradicts another."""


class SourceError(FactorAssetsError):
    """The outside world did not deliver what was asked."""


class MalformedDataError(SourceError):
    """A file or answer cannot be read as what it should be at all."""


class ServiceError(SourceError):
    """An outside service refused, or did not answer in spite of retries."""


class UnreadableDocumentError(FactorAssetsError):
    """A report or filing that no text can be read from."""


class LanguageModelError(FactorAssetsError):
    """An answer of a language model that is no answer."""


class BudgetError(LanguageModelError):
    """The next call could cost more than the run may spend."""


class UniverseError(FactorAssetsError):
    """An unknown universe, or one with no known name."""


class CalendarError(FactorAssetsError):
    """An unknown exchange, or dates outside its calendar."""


class PanelError(FactorAssetsError):
    """Rows that cannot form a panel."""


class MisalignedError(PanelError):
    """Two arrays do not share dates and tickers."""


class UnknownFieldError(PanelError):
    """A field that the panel does not hold."""


class ExpressionError(FactorAssetsError):
    """An expression that cannot be built."""


class ExpressionSyntaxError(ExpressionError):
    """Text that does not parse as an expression.

    Parameters
    ----------
    message
        What was expected and what came.
    text
        The whole text.
    position
        Zero-based offset of the offending character.
    """

    def __init__(self, message: str, *, text: str, position: int) -> None:
        self.text = text
        self.position = position
        super().__init__(f"{message} at position {position}:\n  {text}\n  {' ' * position}^")


class UnknownFactorError(ExpressionError):
    """A factor's name that no declaration has."""


class UserFactorError(FactorAssetsError):
    """A file of the user's own factors that cannot be read."""


class EvaluationError(FactorAssetsError):
    """Evidence that cannot be computed as asked."""


class StoreError(FactorAssetsError):
    """Storage refused or failed."""


class UnknownTableError(StoreError):
    """A table that was never declared or never written."""


class OutsideSliceError(StoreError):
    """Rows that do not belong to the slice being replaced."""


class SchemaMismatchError(StoreError):
    """Rows whose columns differ from the declaration."""


class SourceMixedError(StoreError):
    """Rows of another source than the table holds."""


class WriteConflictError(StoreError):
    """Other writers kept winning until the retries ran out."""


class ConnectionLostError(StoreError):
    """The connection broke, or the server failed: whether it did what was asked is not known."""


class DocumentError(StoreError):
    """Raw documents cannot be read or written."""


class DocumentNotFoundError(DocumentError):
    """There is no document of that key."""


def did_you_mean(given: str, choices: Iterable[str]) -> str:
    """Return the tail of a message: the nearest valid choices, or all of them when few."""
    valid = sorted(choices)
    near = get_close_matches(given, valid, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    if len(valid) <= 12:
        return "choose one of " + ", ".join(repr(name) for name in valid) + "."
    return f"there are {len(valid)} choices, such as " + ", ".join(repr(name) for name in valid[:8]) + "."

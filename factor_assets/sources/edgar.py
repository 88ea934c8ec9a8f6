"""The SEC's EDGAR: list of companies, company facts and submissions, kept as delivered by ticker and day of fetch.

Documents are `sec/<kind>/<TICKER>/<YYYY-MM-DD>.json.gz`, gzip of the exact bytes; the day is that of the fetch in UTC.
Bytes that change twice on a day get the time behind the day. An answer that is as before is not stored again.

What does not belong here: what the documents say (`edgar_filings.py`, `edgar_facts.py`), how to ask (`service.py`).
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from factor_assets.errors import DocumentNotFoundError, MalformedDataError, ServiceError
from factor_assets.settings import SecSettings
from factor_assets.sources.service import LONGEST_PAUSE_S, Answer, Service
from factor_assets.storage.documents import Documents

LABEL = "SEC EDGAR"
Kind = Literal["companyfacts", "submissions"]
Outcome = Literal["fetched", "unchanged", "absent", "failed"]
KINDS: tuple[Kind, ...] = ("companyfacts", "submissions")

COMPANIES = "sec/company_tickers"
_STATE = "state.json"
MOST_FAILURES = 5
"""Tickers in a row that the service may fail on before the rest is left: it is down, and more requests do not help."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one ticker and kind.

    Parameters
    ----------
    outcome
        `fetched`: new bytes are stored; `unchanged`: the stored ones are the newest; `absent`: the SEC has none;
        `failed`: not known, ask again.
    reason
        Why it is absent or failed.
    """

    ticker: str
    kind: Kind
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _State:
    """What is known of the last answer, beside the documents.

    Parameters
    ----------
    key
        The newest document.
    marker
        What the service said elsewhere of this version, where it did.
    """

    checked_at: str
    key: str = ""
    validators: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""


def spelled(ticker: str) -> str:
    """Spell a ticker as the SEC does: capital letters, share classes after a hyphen; BRK.B and BRK/B as BRK-B."""
    return re.sub(r"[./\s]+", "-", ticker.strip().upper())


def latest(documents: Documents, kind: Kind, ticker: str) -> bytes:
    """Return the newest stored document of a ticker, as delivered.

    Raises
    ------
    DocumentNotFoundError
        If there is none.
    """
    return _newest(documents, f"sec/{kind}/{spelled(ticker)}")


def older_submissions(documents: Documents, ticker: str) -> list[bytes]:
    """Return the newest stored version of each file of older filings of a ticker, in order of their names."""
    prefix = f"sec/submissions/{spelled(ticker)}/older"
    names = {info.key.removeprefix(f"{prefix}/").split("/")[0] for info in documents.list(prefix)}
    return [_newest(documents, f"{prefix}/{name}") for name in sorted(names)]


def document_version(documents: Documents, ticker: str) -> str:
    """Return a text that changes when, and only when, another document of the ticker is stored."""
    prefixes = [f"sec/{kind}/{spelled(ticker)}" for kind in KINDS]
    return " ".join(max(_keys(documents, prefix), default="none").rpartition("/")[2] for prefix in prefixes)


def open_service(
    settings: SecSettings,
    *,
    home: Path,
    backoff: float = 1.0,
    patience: float = LONGEST_PAUSE_S,
    wants_json: bool = True,
) -> Service:
    """Return the SEC as a service; all of a home share its rate limit. Parameters as in `Service`."""
    return Service(
        LABEL,
        section="sec",
        home=home,
        headers={"User-Agent": settings.contact, "Accept-Encoding": "gzip, deflate"},
        refused="Set sec.contact to your name and e-mail address; if it is, wait ten minutes and lower"
        " sec.requests_per_second.",
        requests_per_second=settings.requests_per_second,
        retries=settings.retries,
        timeout=settings.timeout,
        backoff=backoff,
        patience=patience,
        wants_json=wants_json,
    )


class EdgarClient:
    """EDGAR over HTTP, with what it delivered kept in the documents.

    Parameters
    ----------
    settings
        Section `sec`, with a contact.
    home
        Folder whose processes share the rate limit.
    now
        Time of day, zone required.
    backoff, patience
        As in `Service`.
    """

    def __init__(
        self,
        settings: SecSettings,
        documents: Documents,
        *,
        home: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: float = 1.0,
        patience: float = LONGEST_PAUSE_S,
    ) -> None:
        self._settings, self._documents, self._now = settings, documents, now
        self._companies: Mapping[str, int] | None = None
        self._service = open_service(settings, home=home, backoff=backoff, patience=patience)

    def fetch(self, tickers: Iterable[str], *, again: bool = False) -> Iterator[Fetched]:
        """Bring the documents of the tickers up to date, yielding what became of each ticker and kind.

        Parameters
        ----------
        again
            Ask also for what was asked for today; by default that is left, so that a batch that was cut short goes on
            where it was.

        Raises
        ------
        ServiceError
            If the list of companies was never delivered.
        DocumentError
            If the documents cannot be read or written.
        """
        companies = self.company_tickers()
        in_a_row, trouble = 0, ""
        for ticker in tickers:
            for kind in KINDS:
                if in_a_row >= MOST_FAILURES:
                    yield Fetched(ticker, kind, "failed", f"not asked after {in_a_row} failures in a row; {trouble}")
                    continue
                found = self._fetch(companies, kind, ticker, again=again)
                in_a_row = in_a_row + 1 if found.outcome == "failed" else 0
                trouble = found.reason
                yield found

    def companyfacts(self, ticker: str, *, again: bool = False) -> Fetched:
        """Bring the facts of one company up to date; as `fetch`."""
        return self._fetch(self.company_tickers(), "companyfacts", ticker, again=again)

    def submissions(self, ticker: str, *, again: bool = False) -> Fetched:
        """Bring the filings of one company up to date, older files included; as `fetch`."""
        return self._fetch(self.company_tickers(), "submissions", ticker, again=again)

    def latest(self, kind: Kind, ticker: str) -> bytes:
        """Return the newest stored document of a ticker; as the function of that name."""
        return latest(self._documents, kind, ticker)

    def poll(self, ticker: str, validators: Mapping[str, str]) -> Answer | None:
        """Ask for the submissions of a ticker without storing them; None if the SEC does not know the ticker.

        Raises
        ------
        ServiceError
            If the service refuses or does not answer.
        """
        cik = self.company_tickers().get(spelled(ticker))
        return None if cik is None else self._service.get(self._url("submissions", cik), validators=validators)

    def company_tickers(self) -> Mapping[str, int]:
        """Return ticker, as `spelled`, -> CIK; the list is asked for once a day.

        Raises
        ------
        ServiceError
            If it was never delivered, and is not now. An older list stands in for one of today.
        """
        if self._companies is None:
            url = f"{self._settings.archives_url}/files/company_tickers.json"
            try:
                self._keep(COMPANIES, url)
            except ServiceError:
                if not any(_keys(self._documents, COMPANIES)):
                    raise
            try:
                listed = json.loads(_newest(self._documents, COMPANIES))
                self._companies = {spelled(entry["ticker"]): int(entry["cik_str"]) for entry in listed.values()}
            except DocumentNotFoundError:
                raise ServiceError(f"{LABEL} has no list of companies at {url}; check sec.archives_url.") from None
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise MalformedDataError(
                    f"{LABEL}'s list of companies is not what it was ({type(error).__name__}); wanted entries with"
                    " ticker and cik_str. Check sec.archives_url."
                ) from None
        return self._companies

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def _fetch(self, companies: Mapping[str, int], kind: Kind, ticker: str, *, again: bool) -> Fetched:
        cik = companies.get(spelled(ticker))
        if cik is None:
            return Fetched(ticker, kind, "absent", f"{LABEL} lists no company of that ticker")
        prefix = f"sec/{kind}/{spelled(ticker)}"
        try:
            outcome = self._keep(prefix, self._url(kind, cik), again=again)
            if kind == "submissions" and outcome != "absent":
                outcome = self._keep_older(prefix) or outcome
        except (ServiceError, MalformedDataError) as error:
            return Fetched(ticker, kind, "failed", str(error))
        return Fetched(ticker, kind, outcome, f"{LABEL} has none of company {cik:010d}" if outcome == "absent" else "")

    def _url(self, kind: Kind, cik: int) -> str:
        path = "submissions" if kind == "submissions" else "api/xbrl/companyfacts"
        return f"{self._settings.data_url}/{path}/CIK{cik:010d}.json"

    def _keep_older(self, prefix: str) -> Literal["fetched"] | None:
        """Fetch the files of older filings that the newest document lists otherwise than when they were fetched."""
        fetched: Literal["fetched"] | None = None
        for entry in _older_files(_newest(self._documents, prefix)):
            name = str(entry["name"])
            stem = name.removesuffix(".json")
            url = f"{self._settings.data_url}/submissions/{name}"
            outcome = self._keep(f"{prefix}/older/{stem}", url, marker=json.dumps(entry, sort_keys=True))
            fetched = "fetched" if outcome == "fetched" else fetched
            if outcome == "absent":
                raise ServiceError(f"{LABEL} lists the file {name} of older filings and has it not; ask again later.")
        return fetched

    def _keep(
        self, prefix: str, url: str, *, again: bool = False, marker: str = ""
    ) -> Literal["fetched", "unchanged", "absent"]:
        """Ask for a document and store it if it is new; by day, or by the marker where there is one."""
        state = self._state(prefix)
        known = max(_keys(self._documents, prefix), default="")
        if state is not None and not again:
            asked = state.marker == marker if marker else date.fromisoformat(state.checked_at[:10]) == self._today()
            if asked:
                return "unchanged" if known else "absent"
        # Validators are of the document they were stored with; without it they would hide what is missing.
        answer = self._service.get(url, validators=state.validators if state is not None and state.key == known else {})
        if answer.outcome == "new":
            new = not known or self._read(known) != answer.content
            key = self._store(prefix, answer.content) if new else known
            self._remember(prefix, key=key, validators=answer.validators, marker=marker)
            return "fetched" if new else "unchanged"
        validators = state.validators if state is not None and answer.outcome == "unchanged" else {}
        self._remember(prefix, key=known, validators=validators, marker=marker)
        return answer.outcome

    def _store(self, prefix: str, content: bytes) -> str:
        moment = self._now().astimezone(UTC)
        packed = gzip.compress(content, mtime=0)
        # In the alphabet, a day with a time comes after the day alone: the newest key is the last.
        for name in (f"{moment:%Y-%m-%d}", f"{moment:%Y-%m-%dT%H%M%S%f}"):
            key = f"{prefix}/{name}.json.gz"
            if self._documents.put(key, packed):
                break
        return key

    def _read(self, key: str) -> bytes:
        return gzip.decompress(self._documents.get(key))

    def _state(self, prefix: str) -> _State | None:
        try:
            return _State(**json.loads(self._documents.get(f"{prefix}/{_STATE}")))
        except (DocumentNotFoundError, ValueError, TypeError):
            return None

    def _remember(self, prefix: str, *, key: str, validators: Mapping[str, str], marker: str) -> None:
        # After the document: who is killed in between asks once more, and finds the bytes unchanged.
        state = _State(self._now().astimezone(UTC).isoformat(), key, dict(validators), marker)
        self._documents.put(f"{prefix}/{_STATE}", json.dumps(asdict(state)).encode(), replace=True)

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()


def _keys(documents: Documents, prefix: str) -> Iterator[str]:
    """Yield the keys of the documents right below a prefix."""
    for info in documents.list(prefix):
        if info.key.endswith(".json.gz") and "/" not in info.key.removeprefix(f"{prefix}/"):
            yield info.key


def _newest(documents: Documents, prefix: str) -> bytes:
    key = max(_keys(documents, prefix), default=None)
    if key is None:
        raise DocumentNotFoundError(f"There is no document below {prefix!r}; make sec_documents for the ticker first.")
    return gzip.decompress(documents.get(key))


def _older_files(submissions: bytes) -> list[Mapping[str, Any]]:
    try:
        entries = json.loads(submissions)["filings"]["files"]
        if all(re.fullmatch(r"[\w.-]+\.json", entry["name"]) for entry in entries):
            return list(entries)
    except (KeyError, TypeError, ValueError):
        entries = None
    raise MalformedDataError(
        f"{LABEL}'s submissions are not what they were; wanted filings.files with the names of the older files."
        " What was delivered is kept."
    )

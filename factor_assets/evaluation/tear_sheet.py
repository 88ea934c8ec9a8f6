"""What every page of the report is made of: what it says about its market, and how its parts become one file.

What does not belong here: what the pages show (`factor_page.py`, `comparison_page.py`), look and drawing (`page/`).
Nothing here computes a statistic or writes a file.

1. Text and tables become HTML at once, so that they are there without JavaScript.
2. Chart data become JSON; it and Plotly are embedded as gzip in base64, which holds no character that HTML reads, and
   are unpacked by the browser. The page's content policy forbids it to load anything.
3. Same rows and context give the same bytes: no clock, no random name.
"""

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import quote

SYNTHETIC_LABEL = "SYNTHETIC SAMPLE MARKET"
MEMBERSHIP = {"dated": "as of each date", "today_only": "today's list", "as_delivered": "what the source holds"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TearSheetContext:
    """What the tables do not say about themselves.

    Parameters
    ----------
    source
        Where the prices came from, in words.
    synthetic
        Whether the prices are made up; the page then says so wherever it is looked at.
    universe
        Name of the universe; the rows must be of this one.
    membership
        `dated`; `today_only` where today's list was applied to the past; `as_delivered` where it is what the source
        holds, which may be survivors only.
    first_date, last_date
        Range of sessions that was asked for.
    notes
        Sentences on the data: what was dropped, and how much of it.
    table_versions
        Version of each table that the page was made from.
    settings
        Settings that shaped the numbers, by name.
    """

    source: str
    synthetic: bool
    universe: str
    membership: Literal["dated", "today_only", "as_delivered"]
    first_date: date
    last_date: date
    notes: Sequence[str] = ()
    table_versions: Mapping[str, str | int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def assemble(kind: Literal["factor", "comparison"], parts: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """Put the parts of a page into its template.

    Parameters
    ----------
    kind
        Names the template and the script.
    parts
        HTML by placeholder; every text in it must be escaped.
    data
        What the script draws: strings, lists and finite numbers or None.

    Returns
    -------
    HTML text of one page that needs no other file and no network.
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    filled = {
        **parts,
        "css": _page("page.css"),
        "js": f"(() => {{\n{_page('drawing.js')}\n{_page(f'{kind}.js')}\n}})();",
        "plotly": _packed_plotly(),
        "data": _packed(text),
    }
    # One pass, so that braces inside a part are never read as a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _page(f"{kind}.html"))


def page_path(family: str, name: str) -> str:
    """Path of a factor's page below the report's folder, without the suffix.

    Whatever a name holds, it is one file in one folder.
    """
    return "factors/" + "/".join(quote(part, safe="").replace(".", "%2E") for part in (family, name))


def page_link(family: str, name: str, *, above: str = "") -> str:
    """Relative address of a factor's page, ready for an attribute; `above` leads to the report's folder."""
    return escape(above + quote(page_path(family, name)) + ".html")


def title(heading: str, context: TearSheetContext) -> str:
    """Title of a page; a made-up market is said first."""
    return escape(f"{SYNTHETIC_LABEL + ': ' if context.synthetic else ''}{heading}")


def synthetic_banner(context: TearSheetContext) -> str:
    """Banner that stays in view where the prices are made up."""
    if not context.synthetic:
        return ""
    return (
        f'<div class="synthetic" role="note"><strong>{SYNTHETIC_LABEL}</strong>'
        " &mdash; every price is made up; no evidence about real stocks</div>"
    )


def survivorship_banner(context: TearSheetContext) -> str:
    """Warning where the members are not those of each date."""
    if context.membership == "dated":
        return ""
    if context.membership == "today_only":
        text = (
            f"Today&rsquo;s members of {escape(context.universe)} are used for all of the past: companies that failed"
            " or left are missing, and the returns shown are better than an investor could have had."
        )
    else:
        text = (
            "The members are the companies that the source holds. If it holds today&rsquo;s only, those that failed"
            " are missing, and the returns shown are better than an investor could have had."
        )
    return f'<p class="survivors" role="note"><b>Survivorship.</b> {text}</p>'


@cache
def _page(name: str) -> str:
    return files("factor_assets.evaluation").joinpath("page", name).read_text(encoding="utf-8")


def _packed(text: str, *, level: int = 6) -> str:
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=level, mtime=0)).decode("ascii")


@cache
def _packed_plotly() -> str:
    from plotly.offline import get_plotlyjs

    return _packed(get_plotlyjs(), level=9)

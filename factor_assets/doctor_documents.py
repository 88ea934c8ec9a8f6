"""What `doctor` looks at of filings, news, reports and the language model: only what the settings ask for.

Keys are in the environment; whether there is one is told, never which. What does not belong here: the rest of `doctor`,
and asking a service: a request may be paid.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from factor_assets.examined import Examined
from factor_assets.settings import Settings
from factor_assets.sources.tavily import KEY_VARIABLE
from factor_assets.storage.documents import Documents
from factor_assets.text.anthropic_client import KEY as MODEL_KEY_VARIABLE
from factor_assets.text.reports import WANTED, list_reports, open_reports
from factor_assets.text.tone import read_word_list
from factor_assets.workspace import Workspace

Look = Callable[[], Iterator[Examined]]

_PROBE = ".doctor"
_MAIL = re.compile(r"\S+@\S+\.\S+")


def document_looks(workspace: Workspace) -> Mapping[str, Look]:
    """Return name -> look, of what the settings ask for; none where they ask for no documents."""
    settings = workspace.settings
    looks: dict[str, Look] = {}
    if settings.sec.contact:
        looks["sec contact"] = partial(_contact, settings)
    if settings.news.source == "tavily":
        looks["news key"] = partial(_key, "news key", KEY_VARIABLE, "Tavily")
    if settings.news.source == "files":
        looks["news file"] = partial(_news_file, settings)
    if settings.reports.path:
        looks["reports"] = partial(_reports, settings)
    if settings.reports.word_list:
        looks["word list"] = partial(_word_list, settings)
    if settings.language_model.provider == "anthropic":
        looks["language model key"] = partial(_key, "language model key", MODEL_KEY_VARIABLE, "Anthropic")
    if looks:
        looks["documents"] = partial(_documents, workspace.documents)
    return looks


def _contact(settings: Settings) -> Iterator[Examined]:
    ok = bool(_MAIL.search(settings.sec.contact))
    yield Examined(
        check="sec contact",
        ok=ok,
        found="sec.contact has an e-mail address" if ok else "sec.contact has no e-mail address",
        advice="" if ok else "the SEC refuses who gives none; set it to your name and e-mail address",
    )


def _key(check: str, variable: str, service: str) -> Iterator[Examined]:
    ok = bool(os.environ.get(variable, "").strip())
    yield Examined(
        check=check,
        ok=ok,
        found=f"the environment variable {variable} is {'set' if ok else 'not set'}",
        advice="" if ok else f"set it to your key of {service}",
    )


def _news_file(settings: Settings) -> Iterator[Examined]:
    path = Path(settings.news.path).expanduser()
    ok = path.is_file()
    yield Examined(
        check="news file",
        ok=ok,
        found=f"{path} is {'there' if ok else 'no file'}",
        advice="" if ok else "set news.path to your headlines",
    )


def _reports(settings: Settings) -> Iterator[Examined]:
    path = settings.reports.path
    if "://" not in path and not Path(path).expanduser().is_dir():
        yield Examined(
            check="reports",
            ok=False,
            found=f"reports.path is {path}, which is no folder",
            advice=f"make it, and put reports there as {WANTED}",
        )
        return
    listing = list_reports(open_reports(settings))
    yield Examined(
        check="reports",
        ok=not listing.misnamed,
        found=f"{path}: {len(listing.reports)} reports",
        advice=listing.complaint,
    )


def _word_list(settings: Settings) -> Iterator[Examined]:
    found = read_word_list(settings.reports.word_list)
    yield Examined(
        check="word list",
        ok=True,
        found=f"{settings.reports.word_list}: {len(found.positive)} positive and {len(found.negative)} negative words",
    )


def _documents(documents: Documents) -> Iterator[Examined]:
    if "://" in documents.root:
        documents.put(_PROBE, b"", replace=True)
        documents.delete(_PROBE)
        ok = True
    else:
        # The folder is made by the first document: until then its parent tells.
        root = Path(documents.root).expanduser().absolute()
        there = next(folder for folder in (root, *root.parents) if folder.exists())
        ok = there.is_dir() and os.access(there, os.W_OK)
    yield Examined(
        check="documents",
        ok=ok,
        found=f"{documents.root} is {'' if ok else 'not '}writable",
        advice="" if ok else "choose another documents.path",
    )

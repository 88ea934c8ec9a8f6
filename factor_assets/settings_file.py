"""The only reader of the environment and of the settings file.

Values come, in this order, from environment variables (`FACTOR_ASSETS_UNIVERSE__NAME=sp500`: section and setting joined
by two underscores), from the file named by `FACTOR_ASSETS_SETTINGS` or `factor_assets.toml` in the current folder, and
from the defaults below, which give the synthetic sample market on a lake in `.factor_assets/`. Secrets never live here.

In a variable a list is JSON, such as `FACTOR_ASSETS_FACTORS__FAMILIES='["momentum", "size"]'`, and so is a table, such
as `FACTOR_ASSETS_FILES__COLUMNS='{"close": "Close"}'`; both may be written as in TOML too.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from factor_assets.errors import SettingsError, did_you_mean
from factor_assets.settings import Settings

ENVIRONMENT_PREFIX = "FACTOR_ASSETS_"
SETTINGS_FILE = "factor_assets.toml"

_SECRETS: Mapping[str, str] = {
    "clickhouse": "CLICKHOUSE_PASSWORD",
    "language_model": "ANTHROPIC_API_KEY",
    "news": "TAVILY_API_KEY",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}
"""Section -> the variables of its secret."""

_SECRET = re.compile(r"password|passwd|secret|token|(api_|aws_|access_|secret_)*key(_id)?|aws_\w+|\w+_access_key")


def load_settings(path: Path | None = None, *, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and validate the settings.

    Parameters
    ----------
    path
        Settings file; by default as the module docstring says.
    environment
        Variables; by default the process environment.

    Raises
    ------
    SettingsError
        If a file is missing or malformed, or a setting is unknown or invalid; the message names the setting, where it
        came from, and what to do.
    """
    variables = os.environ if environment is None else environment
    named = path or (
        Path(variables[f"{ENVIRONMENT_PREFIX}SETTINGS"]) if f"{ENVIRONMENT_PREFIX}SETTINGS" in variables else None
    )
    file = named or Path(SETTINGS_FILE)
    values: dict[str, Any] = {}
    if file.exists():
        values = _read_file(file)
    elif named is not None:
        raise SettingsError(
            f"The settings file {file} does not exist; create it or unset {ENVIRONMENT_PREFIX}SETTINGS."
        )
    origin: dict[str, str] = {}
    for name, text in variables.items():
        if name.startswith(ENVIRONMENT_PREFIX) and name != f"{ENVIRONMENT_PREFIX}SETTINGS":
            _place(values, origin, name=name, text=text)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, file=file, origin=origin)) from error


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {file} is not valid TOML: {error}. Correct that line.") from error
    except OSError as error:
        raise SettingsError(f"The settings file {file} cannot be read: {error.strerror}. Name a TOML file.") from error


def _place(values: dict[str, Any], origin: dict[str, str], *, name: str, text: str) -> None:
    keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
    target = values
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise SettingsError(f"The variable {name} names a section, but {key!r} is a single setting.")
    target[keys[-1]] = _literal(text)
    origin[".".join(keys)] = name


def _literal(text: str) -> Any:
    """Read lists and tables as JSON or TOML; leave everything else to the setting's own type."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text


def _explain(error: ValidationError, *, file: Path, origin: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        # a section's problem comes from any of its settings, that of an item in a list from the list
        given = [v for key, v in origin.items() if f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.")]
        where = ", ".join(given) or (str(file) if file.exists() else "the defaults")
        if problem["type"] == "extra_forbidden":
            section, key = problem["loc"][:-1], str(problem["loc"][-1])
            secret = _SECRETS.get(".".join(map(str, section))) if _SECRET.fullmatch(key.lower()) else None
            advice = (
                f"secrets are never settings: set the variable{'s' if ' and ' in secret else ''} {secret}."
                if secret
                else did_you_mean(key, _names(section))
            )
            lines.append(f"{name} (from {where}) is not a setting; {advice}")
        elif name:
            lines.append(f"{name} (from {where}): {_reason(problem)}.")
        else:
            lines.append(_reason(problem))
    return "Invalid settings:\n  " + "\n  ".join(lines)


def _reason(problem: ErrorDetails) -> str:
    """Return what was wanted and what came; our own validators say both."""
    given = problem["input"]
    if problem["type"] == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "tuple_type" and isinstance(given, str):
        items = [item.strip() for item in given.strip("[]").split(",") if item.strip()]
        return f"wants a list; got {given!r}; in a variable write it as JSON, such as '{json.dumps(items)}'"
    if problem["type"] == "dict_type" and isinstance(given, str):
        return f'wants a table; got {given!r}; in a variable write it as JSON, such as \'{{"close": "Close"}}\''
    return f"{problem['msg']}, got {given!r}"


def _names(section: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in section:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def settings_page() -> str:
    """Return `docs/settings.md`: every setting with its variable, default and meaning. A test keeps the file equal."""
    parts = ["# Settings", (__doc__ or "").split("\n\n", 1)[1].strip()]
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            section = field.annotation
            rows = [_row((name, key), section.model_fields[key]) for key in section.model_fields]
            parts += [f"## [{name}]", (section.__doc__ or "").strip(), "\n".join([*_HEAD, *rows])]
        else:
            parts.append("\n".join([*_HEAD, _row((name,), field)]))
    return "\n\n".join(parts) + "\n"


_HEAD = ("| setting | default | variable | meaning |", "|---|---|---|---|")


def _row(path: tuple[str, ...], field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    shown = f"`{default}`" if default not in (None, "", (), {}) else ""
    choices = ", ".join(f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str))
    meaning = f"{field.description}{f' Choices: {choices}.' if choices else ''}"
    return f"| `{path[-1]}` | {shown} | `{ENVIRONMENT_PREFIX}{'__'.join(path).upper()}` | {meaning} |"

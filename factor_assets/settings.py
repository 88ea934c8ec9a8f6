"""The only reader of the environment and of the settings file.

Values come, in this order, from environment variables (`FACTOR_ASSETS_UNIVERSE__NAME=sp500`: section and setting joined
by two underscores), from the file named by `FACTOR_ASSETS_SETTINGS` or `factor_assets.toml` in the current folder, and
from the defaults below, which give the synthetic sample market on a lake in `.factor_assets/`. Secrets never live here.
"""

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from factor_assets.errors import SettingsError, did_you_mean

ENVIRONMENT_PREFIX = "FACTOR_ASSETS_"
SETTINGS_FILE = "factor_assets.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Section):
    """Where prices come from, and which sessions matter."""

    source: str = Field("sample", description="Price source: sample, files, yahoo, or one of your own.")
    calendar: str = Field("XNYS", description="Exchange calendar (ISO 10383 code), any of exchange_calendars.")
    start: date | None = Field(None, description="First session wanted; default 2010-01-01, or the sample's first.")
    end: date | None = Field(None, description="Last session wanted; default open, or the sample's last.")


class SampleSettings(_Section):
    """The synthetic market."""

    seed: int = Field(7, ge=0, description="Seed; the same seed always gives the same market.")
    tickers: int = Field(60, ge=10, le=5000, description="Number of companies.")
    planted_spread: float = Field(
        0.0008,
        ge=-0.02,
        le=0.02,
        description="Extra return per session of the top third over the bottom third of close_location.",
    )


class FilesSettings(_Section):
    """A user's own price files."""

    path: str = Field("", description="A Parquet or CSV file, a folder of them, or a glob.")
    layout: Literal["auto", "long", "file_per_ticker"] = Field(
        "auto", description="One long table with a ticker column, or one file a ticker named after it."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column name = yours, such as close = 'Close'; same-named ones need no entry.",
    )
    timezone: str = Field("", description="Zone of timestamps without one; default the exchange's.")
    prices: Literal["as_traded", "split_adjusted"] = Field(
        "as_traded", description="Whether prices and volume are as traded or already adjusted for splits."
    )


class YahooSettings(_Section):
    """Yahoo Finance through yfinance."""

    batch_size: int = Field(20, ge=1, le=200, description="Tickers that are committed together.")
    requests_per_second: float = Field(2.0, gt=0, le=20, description="Upper limit of the request rate.")
    retries: int = Field(4, ge=0, le=20, description="Further attempts after a rate limit or a failed connection.")
    overlap_sessions: int = Field(5, ge=1, le=60, description="Stored sessions fetched again, to notice revisions.")


class UniverseSettings(_Section):
    """Which companies are compared with each other, and when."""

    name: str = Field(
        "",
        description="djia30, sp100, sp500, nasdaq100, all, list, file; default all for the sample, else djia30.",
    )
    tickers: tuple[str, ...] = Field((), description="The tickers of universe `list`.")
    path: str = Field("", description="Membership intervals of universe `file`: CSV with ticker, start_date, end_date.")


class FactorSettings(_Section):
    """Which factors there are."""

    families: tuple[str, ...] = Field(
        (),
        description="Families, family/name or names of the package's factors that are assets, or all; default all, or"
        " for the sample market some of every family.",
    )
    libraries: tuple[str, ...] = Field(
        (),
        description="Libraries that the daily job makes and that are evaluated, such as alpha158; the others are assets"
        " of the graph that are made on demand.",
    )
    paths: tuple[str, ...] = Field(
        (),
        description="Your own factors: folders of Python files, Python files, or text files of `name = formula` lines."
        " The file's name is the family.",
    )


class EvaluationSettings(_Section):
    """How factors are tested."""

    n_groups: int = Field(3, ge=2, le=20, description="Portfolios that a factor is sorted into.")
    n_quantiles: int = Field(5, ge=2, le=20, description="Quantiles of the quantile returns.")
    weighting: Literal["equal", "cap"] = Field("equal", description="Weights inside a portfolio.")
    execution_lag: int = Field(
        1,
        ge=0,
        le=20,
        description="Sessions between a factor and the start of the forward return of rank IC and quantiles."
        " The portfolios of factor_timeseries are formed at the close that gave the value.",
    )
    horizon: int = Field(1, ge=1, le=252, description="Sessions of the forward return of IC and quantiles.")
    risk_free_rate: float = Field(0.02, gt=-0.5, lt=0.5, description="Fraction per year, in the Sharpe ratio.")
    min_observations: int = Field(30, ge=3, description="Sessions below which a ticker gets no regression.")
    horizons: tuple[Annotated[int, Field(ge=1, le=252)], ...] = Field(
        (1, 5, 10, 20), description="Sessions of the forward returns of the IC decay."
    )
    participation_rate: float = Field(
        0.05, gt=0, le=1, description="Share of a name's traded value that one's own trading may be, for the capacity."
    )
    holdout_start: date | None = Field(
        None,
        description="First session of the holdout: evidence ends before it, unless a command or a run asks for it by"
        " name, which the ledger and the page then say.",
    )


class PromotionSettings(_Section):
    """What a factor must show to be promoted; each gate is an asset check."""

    min_coverage: float = Field(0.5, ge=0, le=1, description="Mean share of the universe with a value.")
    max_pvalue: float = Field(0.05, gt=0, le=1, description="Of the mean rank IC after Holm's correction.")
    min_deflated_sharpe_ratio: float = Field(0.95, ge=0, le=1, description="Probability, after all trials.")
    max_turnover: float = Field(0.5, gt=0, le=2, description="Mean turnover of the portfolios a session.")
    min_capacity: float = Field(0.0, ge=0, description="Median capacity in currency.")
    max_correlation: float = Field(0.7, gt=0, le=1, description="Absolute rank correlation with a promoted factor.")
    sign_as_published: bool = Field(True, description="Refuse a factor whose rank IC has the other sign.")


class PartitionSettings(_Section):
    """How date assets are cut."""

    grain: Literal["month", "day"] = Field("month", description="One partition a month or a session; same results.")


class RunSettings(_Section):
    """How a run executes its steps."""

    executor: Literal["in_process", "multiprocess"] = Field(
        "in_process", description="in_process is fastest here; multiprocess isolates steps; same results."
    )


class StoreSettings(_Section):
    """Where tables live."""

    kind: Literal["lake"] = Field("lake", description="The store: lake (Delta Lake tables).")
    path: str = Field("", description="Folder of the lake; default `lake` in the home folder.")


class Settings(_Section):
    """Everything a user may choose."""

    home: Path = Field(
        Path(".factor_assets"),
        validate_default=True,
        description="Folder of the lake, the Dagster instance and the reports.",
    )
    data: DataSettings = DataSettings()
    sample: SampleSettings = SampleSettings()
    files: FilesSettings = FilesSettings()
    yahoo: YahooSettings = YahooSettings()
    universe: UniverseSettings = UniverseSettings()
    factors: FactorSettings = FactorSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    promotion: PromotionSettings = PromotionSettings()
    partitions: PartitionSettings = PartitionSettings()
    run: RunSettings = RunSettings()
    store: StoreSettings = StoreSettings()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.start > self.last_date:
            raise ValueError(f"data.start {self.start} is after data.end {self.last_date}; swap them.")
        if self.data.source == "files" and not self.files.path:
            raise ValueError("data.source is 'files' but files.path is empty; set files.path to your price files.")
        if "://" in self.store.path:
            raise ValueError(f"store.path {self.store.path!r} is a URI; the lake wants a folder.")
        if self.universe_name == "list" and not self.universe.tickers:
            raise ValueError("universe.name is 'list' but universe.tickers is empty; name at least one ticker.")
        if self.universe_name == "file" and not self.universe.path:
            raise ValueError("universe.name is 'file' but universe.path is empty; set it to a membership file.")
        return self

    @property
    def start(self) -> date:
        """First session wanted."""
        if self.data.start is not None:
            return self.data.start
        return SAMPLE_START if self.data.source == "sample" else date(2010, 1, 1)

    @property
    def end(self) -> date | None:
        """Last session wanted; None follows the calendar."""
        if self.data.end is None and self.data.source == "sample":
            return SAMPLE_END
        return self.data.end

    @property
    def last_date(self) -> date:
        """The end, or the far future where it is open; for comparisons only."""
        return self.end or date.max

    @property
    def universe_name(self) -> str:
        """Name of the universe, with the default resolved."""
        return self.universe.name or ("all" if self.data.source == "sample" else "djia30")

    @property
    def chosen_factors(self) -> tuple[str, ...]:
        """Families and names of the factors that are assets, with the default resolved; empty for all."""
        chosen = self.factors.families
        if not chosen and self.data.source == "sample":
            return SAMPLE_FACTORS
        return () if chosen == ("all",) else chosen

    @property
    def lake_path(self) -> Path:
        """Folder of the lake."""
        return Path(self.store.path).expanduser().absolute() if self.store.path else self.home / "lake"

    @cached_property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance."""
        return self.home / "dagster"

    @property
    def reports_path(self) -> Path:
        """Folder of the pages."""
        return self.home / "reports"


SAMPLE_START, SAMPLE_END = date(2017, 1, 3), date(2024, 12, 31)
# A tour: a synthetic market proves nothing about a factor, so that all of them would only cost the newcomer a minute.
SAMPLE_FACTORS = (
    *("ret_12_1", "high_52w", "reversal_5d", "ret_1_0", "volatility_20d", "beta_252d", "max_return_20d"),
    *("volume", "dollar_volume_20d", "amihud_20d", "turnover_20d", "size/size", "season_1y", "skew_60d"),
    *("rsi_14", "rsi_28", "roc_20", "close_location", "open_location", "macd_12_26_9", "money_flow_index_14"),
)


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
    """Read lists and tables as TOML; leave everything else to the setting's own type."""
    if text.lstrip().startswith(("[", "{")):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _explain(error: ValidationError, *, file: Path, origin: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        # a section's problem comes from any of its settings, that of an item in a list from the list
        given = [v for key, v in origin.items() if f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.")]
        where = ", ".join(given) or (str(file) if file.exists() else "the defaults")
        if problem["type"] == "extra_forbidden":
            section = problem["loc"][:-1]
            lines.append(
                f"{name} (from {where}) is not a setting; {did_you_mean(str(problem['loc'][-1]), _names(section))}"
            )
        elif name:
            lines.append(f"{name} (from {where}): {problem['msg']}, got {problem['input']!r}.")
        else:
            lines.append(str(problem["msg"]).removeprefix("Value error, "))
    return "Invalid settings:\n  " + "\n  ".join(lines)


def _names(section: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in section:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def version_of(*sections: BaseModel, code: str = "1") -> str:
    """Return a code version that changes with the given settings: `code` and a short hash of the sections."""
    text = "".join(section.model_dump_json() for section in sections)
    return f"{code}-{sha256(text.encode()).hexdigest()[:8]}" if sections else code


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

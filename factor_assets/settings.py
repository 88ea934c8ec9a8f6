"""Everything a user may choose, validated: sections, defaults and what follows from them.

What does not belong here: where values come from (`settings_file.py`), what a table holds (`tables.py`).
"""

from datetime import date
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from factor_assets.store_settings import (
    ClickHouseSettings,
    DocumentSettings,
    LocalPath,
    Place,
    S3Settings,
    Section,
    StoreSettings,
    absolute_place,
    require_local,
)


class DataSettings(Section):
    """Where prices come from, and which sessions matter."""

    source: str = Field("sample", description="Price source: sample, files, yahoo, or one of your own.")
    calendar: str = Field("XNYS", description="Exchange calendar (ISO 10383 code), any of exchange_calendars.")
    start: date | None = Field(None, description="First session wanted; default 2010-01-01, or the sample's first.")
    end: date | None = Field(None, description="Last session wanted; default open, or the sample's last.")


class SampleSettings(Section):
    """The synthetic market."""

    seed: int = Field(7, ge=0, description="Seed; the same seed always gives the same market.")
    tickers: int = Field(
        60, ge=10, le=5000, description="Companies; some list later or leave early, so a session has fewer."
    )
    planted_spread: float = Field(
        0.0008,
        ge=-0.02,
        le=0.02,
        description="Extra return per session of the top third over the bottom third of close_location.",
    )


class FilesSettings(Section):
    """A user's own price files."""

    path: LocalPath = Field("", description="A Parquet or CSV file, a folder of them, or a glob.")
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


class YahooSettings(Section):
    """Yahoo Finance through yfinance."""

    batch_size: int = Field(20, ge=1, le=200, description="Tickers that are committed together.")
    requests_per_second: float = Field(2.0, gt=0, le=20, description="Upper limit of the request rate.")
    retries: int = Field(4, ge=0, le=20, description="Further attempts after a rate limit or a failed connection.")
    overlap_sessions: int = Field(5, ge=1, le=60, description="Stored sessions fetched again, to notice revisions.")


class UniverseSettings(Section):
    """Which companies are compared with each other, and when."""

    name: str = Field(
        "",
        description="djia30, sp100, sp500, nasdaq100, all, list, file; default all for the sample, else djia30.",
    )
    tickers: tuple[str, ...] = Field((), description="The tickers of universe `list`.")
    path: LocalPath = Field(
        "", description="Membership intervals of universe `file`: CSV with ticker, start_date, end_date."
    )


class FactorSettings(Section):
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
    paths: tuple[LocalPath, ...] = Field(
        (),
        description="Your own factors: folders of Python files, Python files, or text files of `name = formula` lines."
        " The file's name is the family.",
    )


class EvaluationSettings(Section):
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
    known_factors: LocalPath = Field(
        "",
        description="File of known factors' returns that every factor is regressed on, such as French's own CSV files"
        " (percent), or a Parquet or CSV file with `date` and a column a factor, fractions a session.",
    )
    neutralised_on: tuple[str, ...] = Field(
        (),
        description="Factors (family/name or name) that are taken out before the marginal rank IC, and that spanning"
        " regressions have beside the market; default for the marginal rank IC: the closest factor.",
    )
    beta_window: int = Field(252, ge=20, le=2520, description="Sessions of the rolling betas.")
    random_portfolios: int = Field(
        200, ge=0, le=100_000, description="Random portfolios that each factor is compared with; 0 for none."
    )


class PromotionSettings(Section):
    """What a factor must show to be promoted; each gate is an asset check."""

    min_coverage: float = Field(0.5, ge=0, le=1, description="Mean share of the universe with a value.")
    max_pvalue: float = Field(0.05, gt=0, le=1, description="Of the mean rank IC after Holm's correction.")
    min_deflated_sharpe_ratio: float = Field(0.95, ge=0, le=1, description="Probability, after all trials.")
    max_turnover: float = Field(0.5, gt=0, le=2, description="Mean turnover of the portfolios a session.")
    min_capacity: float = Field(0.0, ge=0, description="Median capacity in currency.")
    max_correlation: float = Field(0.7, gt=0, le=1, description="Absolute rank correlation with a promoted factor.")
    sign_as_published: bool = Field(True, description="Refuse a factor whose rank IC has the other sign.")


class SecSettings(Section):
    """Filings and facts of the SEC; their assets exist once a contact is given."""

    contact: str = Field(
        "", description="Your name and e-mail address, which the SEC wants in the User-Agent of every request."
    )
    data_url: str = Field("https://data.sec.gov", description="Where company facts and submissions come from.")
    archives_url: str = Field("https://www.sec.gov", description="Where the list of companies and filings come from.")
    requests_per_second: float = Field(8.0, gt=0, le=9, description="Upper limit over all processes of this home.")
    retries: int = Field(5, ge=0, le=20, description="Further attempts after 429, 5xx or a failed connection.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds until a request that gives nothing has failed.")
    filing_texts: bool = Field(False, description="Whether the text of annual and quarterly filings is fetched.")
    max_age_days: int = Field(
        550, ge=90, description="Days after the end of a fiscal period from which its numbers are too old to use."
    )


class NewsSettings(Section):
    """News by ticker and day; their assets exist once a source is given. The key is the variable TAVILY_API_KEY."""

    source: Literal["", "tavily", "files"] = Field("", description="Where news come from; empty for none.")
    path: LocalPath = Field("", description="Parquet or CSV file of headlines, for source files.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column name = yours, for files: ticker, published (date or time), title, url, content.",
    )
    url: str = Field("https://api.tavily.com", description="Where Tavily is.")
    max_results: int = Field(10, ge=1, le=20, description="Articles wanted a ticker and day.")
    requests_per_second: float = Field(2.0, gt=0, le=50, description="Upper limit over all processes of this home.")
    retries: int = Field(4, ge=0, le=20, description="Further attempts after 429, 5xx or a failed connection.")
    timeout: float = Field(60.0, gt=0, le=600, description="Seconds until a request that gives nothing has failed.")
    max_requests: int = Field(
        1000, ge=0, description="Paid requests that a run may make; the rest waits for the next run."
    )


class LanguageModelSettings(Section):
    """Who reads texts. The default needs no key and no network. The key is the variable ANTHROPIC_API_KEY."""

    provider: Literal["lexicon", "anthropic", "bedrock"] = Field(
        "lexicon", description="lexicon scores words by VADER's general list; the others read. Rows say who did."
    )
    model: str = Field("", description="Name of the model, as the provider spells it; wanted unless lexicon.")
    url: str = Field("", description="Where the provider is, if not at its own address.")
    region: str = Field("", description="Region of Bedrock; default that of the AWS environment.")
    max_concurrent: int = Field(6, ge=1, le=64, description="Calls at the same time.")
    requests_per_minute: int = Field(600, ge=1, description="Upper limit of calls begun a minute.")
    max_tokens: int = Field(2000, ge=100, le=100_000, description="Longest answer in tokens.")
    retries: int = Field(4, ge=0, le=20, description="Further attempts after 429, 5xx or a failed connection.")
    timeout: float = Field(120.0, gt=0, le=1800, description="Seconds until a call that gives nothing has failed.")
    budget: float = Field(5.0, ge=0, description="US dollars that a run may spend; it stops before it spends more.")
    input_price: float | None = Field(
        None, ge=0, description="US dollars a million tokens of question; where batch is on, its."
    )
    output_price: float | None = Field(None, ge=0, description="US dollars a million tokens of answer, likewise.")
    batch: bool = Field(False, description="Whether calls go through the batch interface: cheaper, and later.")
    max_failed_share: float = Field(0.1, ge=0, le=1, description="Share of texts without a number that fails a check.")


class ReportSettings(Section):
    """PDF reports at TICKER/YYYY/YYYYMMDD.pdf; their assets exist once a path is given."""

    path: Place = Field("", description="Folder or s3://bucket/prefix that is watched for reports.")
    word_list: LocalPath = Field(
        "",
        description="CSV with columns word and kind (positive or negative), for the tone of filings, such as yours of"
        " Loughran and McDonald; without it the tone is null.",
    )
    max_age_days: int = Field(400, ge=30, description="Days after which a report or filing is too old to use.")


class PartitionSettings(Section):
    """How date assets are cut."""

    grain: Literal["month", "day"] = Field("month", description="One partition a month or a session; same results.")


class RunSettings(Section):
    """How a run executes its steps."""

    executor: Literal["in_process", "multiprocess"] = Field(
        "in_process", description="in_process is fastest here; multiprocess isolates steps; same results."
    )


class Settings(Section):
    """Everything a user may choose."""

    home: Path = Field(
        Path(".factor_assets"),
        validate_default=True,
        description="Folder of the lake, the Dagster instance and the reports.",
    )
    profile: Literal["local", "scale"] = Field(
        "local",
        description="local keeps everything in the home folder; scale has tables in ClickHouse and documents in S3."
        " Settings of a section say otherwise for their part.",
    )
    data: DataSettings = DataSettings()
    sample: SampleSettings = SampleSettings()
    files: FilesSettings = FilesSettings()
    yahoo: YahooSettings = YahooSettings()
    universe: UniverseSettings = UniverseSettings()
    factors: FactorSettings = FactorSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    promotion: PromotionSettings = PromotionSettings()
    documents: DocumentSettings = DocumentSettings()
    sec: SecSettings = SecSettings()
    news: NewsSettings = NewsSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    reports: ReportSettings = ReportSettings()
    partitions: PartitionSettings = PartitionSettings()
    run: RunSettings = RunSettings()
    store: StoreSettings = StoreSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    s3: S3Settings = S3Settings()

    @field_validator("home", mode="before")
    @classmethod
    def _local(cls, home: object) -> object:
        # As a Path, s3://bucket would be the folder s3:/bucket.
        return require_local(home) if isinstance(home, str) else home

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
        self._require_places()
        if self.news.source == "files" and not self.news.path:
            raise ValueError("news.source is 'files' but news.path is empty; set news.path to your headlines.")
        if self.language_model.provider != "lexicon":
            if not self.language_model.model:
                raise ValueError(
                    f"language_model.provider is {self.language_model.provider!r} but language_model.model is empty;"
                    " name the model."
                )
            if self.language_model.input_price is None or self.language_model.output_price is None:
                raise ValueError(
                    "language_model.budget wants to know what a call costs: set language_model.input_price and"
                    " language_model.output_price, in US dollars a million tokens."
                )
        if self.universe_name == "list" and not self.universe.tickers:
            raise ValueError("universe.name is 'list' but universe.tickers is empty; name at least one ticker.")
        if self.universe_name == "file" and not self.universe.path:
            raise ValueError("universe.name is 'file' but universe.path is empty; set it to a membership file.")
        return self

    def _require_places(self) -> None:
        if self.store_kind == "clickhouse" and self.clickhouse.interface == "http" and not self.clickhouse.host:
            raise ValueError("The tables are to be in ClickHouse, but clickhouse.host is empty; name the server.")
        if self.profile == "scale" and not self.documents.path:
            raise ValueError("profile is 'scale', but documents.path is empty; set it to s3://bucket/prefix.")

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
    def store_kind(self) -> Literal["lake", "clickhouse"]:
        """Where tables live, with the default resolved."""
        return self.store.kind or ("clickhouse" if self.profile == "scale" else "lake")

    @property
    def lake_path(self) -> str:
        """Folder or URI of the lake."""
        return absolute_place(self.store.path, self.home / "lake")

    @property
    def chdb_path(self) -> Path:
        """Folder of the embedded ClickHouse engine."""
        return Path(absolute_place(self.clickhouse.path, self.home / "clickhouse"))

    @property
    def documents_path(self) -> str:
        """Folder or URI of the raw documents."""
        return absolute_place(self.documents.path, self.home / "documents")

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


def version_of(*sections: BaseModel, code: str = "1") -> str:
    """Return a code version that changes with the given settings: `code` and a short hash of the sections."""
    text = "".join(section.model_dump_json() for section in sections)
    return f"{code}-{sha256(text.encode()).hexdigest()[:8]}" if sections else code

"""Liquidity: how much is traded, and how far trading moves the price."""

from factor_assets.expressions import abs, dollar_volume, mean, raw_volume, returns, shares_outstanding  # noqa: A004
from factor_assets.factors.factor import Factor

volume = Factor(
    expression=raw_volume,
    sign=0,
    cite="Lo and Wang (2000, Review of Financial Studies 13(2), 257-300)",
    doi="10.1093/rfs/13.2.257",
    unit="shares",
    description="Shares traded in the session, as traded.",
)

dollar_volume_20d = Factor(
    expression=mean(dollar_volume, 20),
    sign=-1,
    cite="Brennan, Chordia and Subrahmanyam (1998, Journal of Financial Economics 49(3), 345-373)",
    doi="10.1016/S0304-405X(98)00028-2",
    unit="currency per session",
    description="Mean value traded over 20 sessions. The publication uses the logarithm of the monthly value.",
)

amihud_20d = Factor(
    expression=mean(abs(returns) / dollar_volume, 20, min_periods=10) * 1e6,
    sign=+1,
    cite="Amihud (2002, Journal of Financial Markets 5(1), 31-56)",
    doi="10.1016/S1386-4181(01)00024-6",
    unit="fraction per million currency",
    description=(
        "Mean of absolute return over value traded, over the sessions of the last 20 with trading, at least 10. The"
        " publication averages over a year."
    ),
)

turnover_20d = Factor(
    expression=mean(raw_volume / shares_outstanding, 20),
    sign=-1,
    cite="Datar, Naik and Radcliffe (1998, Journal of Financial Markets 1(2), 203-219)",
    doi="10.1016/S1386-4181(97)00004-9",
    unit="fraction per session",
    description="Mean share of the company traded per session; missing where shares outstanding are unknown.",
)

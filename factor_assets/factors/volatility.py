"""Volatility and low risk: how much a price moves, alone and with the market."""

from factor_assets.expressions import beta, cross_mean, max, returns, std  # noqa: A004
from factor_assets.factors.factor import Factor

volatility_20d = Factor(
    expression=std(returns, 20),
    sign=-1,
    cite="Ang, Hodrick, Xing and Zhang (2006, Journal of Finance 61(1), 259-299)",
    doi="10.1111/j.1540-6261.2006.00836.x",
    unit="fraction per session",
    description="Standard deviation of total returns over 20 sessions. The publication uses a calendar month.",
)

beta_252d = Factor(
    expression=beta(returns, cross_mean(returns), 252, min_periods=120),
    sign=-1,
    cite="Frazzini and Pedersen (2014, Journal of Financial Economics 111(1), 1-25)",
    doi="10.1016/j.jfineco.2013.10.005",
    description=(
        "Slope of a ticker's return on the equal-weighted return of the universe over 252 sessions, of which 120 must"
        " be there. The sign is that of risk-adjusted returns. The publication estimates correlation and volatility"
        " apart, shrinks beta towards 1 and uses a value-weighted market."
    ),
)

max_return_20d = Factor(
    expression=max(returns, 20),
    sign=-1,
    cite="Bali, Cakici and Whitelaw (2011, Journal of Financial Economics 99(2), Table 1)",
    doi="10.1016/j.jfineco.2010.08.014",
    unit="fraction per session",
    description="Largest return of the last 20 sessions. The publication uses a calendar month.",
)

"""Size: small companies against large ones, and how their number of shares grows."""

from factor_assets.expressions import (
    close,
    delay,
    log,
    market_cap,
    neutralize,
    raw_close,
    residualize,
    sector,
    split_close,
    zscore,
)
from factor_assets.factors.factor import Factor

size = Factor(
    expression=log(market_cap),
    sign=-1,
    cite="Banz (1981, Journal of Financial Economics 9(1), 3-18)",
    doi="10.1016/0304-405X(81)90018-0",
    unit="log currency",
    description="Logarithm of market capitalisation; missing where shares outstanding are unknown.",
)

industry_relative_size = Factor(
    expression=neutralize(log(market_cap), sector),
    sign=-1,
    cite="Asness, Porter and Stevens (2000, working paper Predicting Stock Returns Using Industry-Relative Firm"
    " Characteristics)",
    unit="log fraction",
    description="Distance of `size` from the mean of the sector's members. The publication has 48 industries.",
)

nonlinear_size = Factor(
    expression=residualize(zscore(log(market_cap)) ** 3, log(market_cap)),
    sign=0,
    cite="Menchero, Orr and Wang (2011, MSCI Barra US Equity Model USE4 Methodology Notes)",
    description=(
        "Cube of the standardised `size`, less what `size` explains across the members: where mid caps part from both"
        " ends. The publication weights the regression, then limits and standardises the residual."
    ),
)

log_price = Factor(
    expression=log(raw_close),
    sign=-1,
    cite="Miller and Scholes (1982, Journal of Political Economy 90(6), 1118-1141)",
    doi="10.1086/261114",
    unit="logarithm of currency over shares",
    description="Logarithm of the close as traded. The publication takes the reciprocal, whose sign is the opposite.",
)

share_issuance_1y = Factor(
    expression=log((market_cap / split_close) / delay(market_cap / split_close, 252)),
    sign=-1,
    cite="Pontiff and Woodgate (2008, Journal of Finance 63(2), 921-945)",
    doi="10.1111/j.1540-6261.2008.01335.x",
    unit="log fraction",
    description=(
        "Logarithmic change over 252 sessions of the shares outstanding known on the day, adjusted for splits. The"
        " publication lags the shares by six months; these are as filed, and so lag as the filings do."
    ),
)

composite_issuance_5y = Factor(
    expression=log(market_cap / delay(market_cap, 1260)) - log(close / delay(close, 1260)),
    sign=-1,
    cite="Daniel and Titman (2006, Journal of Finance 61(4), 1605-1643)",
    doi="10.1111/j.1540-6261.2006.00884.x",
    unit="log fraction",
    description="Growth of market capitalisation over 1,260 sessions that the total return does not explain, in logs.",
)

"""Size: small companies against large ones."""

from factor_assets.expressions import log, market_cap
from factor_assets.factors.factor import Factor

size = Factor(
    expression=log(market_cap),
    sign=-1,
    cite="Banz (1981, Journal of Financial Economics 9(1), 3-18)",
    doi="10.1016/0304-405X(81)90018-0",
    unit="log currency",
    description="Logarithm of market capitalisation; missing where shares outstanding are unknown.",
)

"""Short-term reversal: last week's losers against its winners."""

from factor_assets.expressions import close, delay
from factor_assets.factors.factor import Factor

reversal_5d = Factor(
    expression=close / delay(close, 5) - 1,
    sign=-1,
    cite="Lehmann (1990, Quarterly Journal of Economics 105(1), 1-28)",
    doi="10.2307/2937816",
    unit="fraction",
    description="Total return over the last five sessions; the sign says that low values earned more afterwards.",
)

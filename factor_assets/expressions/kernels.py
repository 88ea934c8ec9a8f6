"""Which function computes which operator: the kernel modules, listed once.

A function of the element-wise operators takes operands that are arrays or numbers, and `out`. One of the time-series
operators takes `out`, the operands, `first_row` (the ordinal of row 0 among the calendar's sessions) and the params;
its arrays are contiguous float64 of shape (n_dates, n_tickers), and a column depends on no other. One of the
cross-sectional operators takes `out`, which may be its first operand, then the members (bool), the operands and the
params; its arrays are contiguous, and a row depends on no other. Where an operand may be given several times it also
takes `label_flags`: for each of those whether it is a label, whose values are names and not numbers.
"""

from collections.abc import Callable, Mapping

from factor_assets.expressions import (
    comoments,
    cross_section,
    decaying,
    elementwise,
    groups,
    higher_moments,
    moments,
    order_statistics,
    rolling,
    since,
    trends,
)

ELEMENTWISE: Mapping[str, Callable[..., None]] = elementwise.COMPUTE
TIME_SERIES: Mapping[str, Callable[..., None]] = {
    **rolling.COMPUTE,
    **moments.COMPUTE,
    **comoments.COMPUTE,
    **higher_moments.COMPUTE,
    **trends.COMPUTE,
    **order_statistics.COMPUTE,
    **decaying.COMPUTE,
    **since.COMPUTE,
}
CROSS_SECTION: Mapping[str, Callable[..., None]] = {**cross_section.COMPUTE, **groups.COMPUTE}

"""How exponentially weighted means forget: the factor of one session, and the sessions after which nothing is left.

The mean of Qlib, pandas and charting packages runs over all sessions since the listing, so that its value depends on
where the data begin. Here the window ends where what is older weighs less than `NEGLECTED` of everything together: a
slice then has the same bits as the whole, and the value is that of the endless mean to 1e-10 of the range of x while
recent sessions are there; after a gap that left a share w of the weight, to 1e-11 / w of it.
"""

import math
from collections.abc import Callable, Mapping

NEGLECTED = 1e-11

DECAYS: Mapping[str, Callable[[float], float]] = {
    "halflife": lambda halflife: 0.5 ** (1.0 / halflife),
    "span": lambda span: 1.0 - 2.0 / (span + 1.0),
    "periods": lambda periods: 1.0 - 1.0 / periods,
}


def decay_window(decay: float) -> int:
    """Return the sessions whose weights, of decay^age, hold all but `NEGLECTED` of the whole."""
    return math.ceil(math.log(NEGLECTED) / math.log(decay))

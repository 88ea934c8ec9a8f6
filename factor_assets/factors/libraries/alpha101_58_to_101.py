"""Formulas 58 to 101 of the 101 Formulaic Alphas.

The publication's windows such as 3.92795 are written as it rounds them, down; its weights are kept as they are, also
where both belong to the same price.
"""

from factor_assets.expressions import (
    abs,  # noqa: A004
    argmax,
    argmin,
    close,
    corr,
    decay_linear,
    delay,
    delta,
    high,
    log,
    low,
    max,  # noqa: A004
    maximum,
    min,  # noqa: A004
    minimum,
    neutralize,
    open,  # noqa: A004
    product,
    rank,
    scale,
    sector,
    sign,
    signed_power,
    sum,  # noqa: A004
    ts_rank,
    volume,
)
from factor_assets.factors.libraries.alpha101_terms import (
    CURRENCY,
    INDUSTRY,
    MIDPOINT,
    MIXED,
    SUBINDUSTRY,
    VWAP,
    Alpha,
    adv,
    blend,
)

_close_in_range = ((close - low) - (high - close)) / (high - low)
_low_open = blend(open, low, 0.147155)
_range = (high - low) / (sum(close, 5) / 5)
_close_with_volume = corr(ts_rank(close, 7), ts_rank(adv(60), 4), 3)
_low_with_volume = corr(ts_rank(low, 7), ts_rank(adv(60), 17), 4)

# A standing often is the same for as long as these correlations look back, and then they have no value. Whole windows
# of them hardly exist: 0 and 1% of cells of a simulated market had one.
_TAKES_WHAT_IS_THERE = " The windows over the correlation of standings need one value, not all."

ALPHAS_58_TO_101 = (
    Alpha(
        58,
        -ts_rank(decay_linear(corr(neutralize(VWAP, sector), volume, 3), 7), 5),
        "Against a growing correlation of price within its group with volume.",
    ),
    Alpha(
        59,
        -ts_rank(decay_linear(corr(neutralize(blend(VWAP, VWAP, 0.728317), INDUSTRY), volume, 4), 16), 8),
        "Against a growing correlation of price within its group with volume, over longer windows.",
    ),
    Alpha(
        60,
        -(2 * scale(rank(_close_in_range * volume)) - scale(rank(argmax(close, 10)))),
        "Against closes high in the day's range on high volume, less how recent the 10-session high is.",
    ),
    Alpha(
        61,
        rank(VWAP - min(VWAP, 16)) < rank(corr(VWAP, adv(180), 17)),
        "1 where price ranks lower above its 16-session low than in its correlation with dollar volume, else 0.",
    ),
    Alpha(
        62,
        -(rank(corr(VWAP, sum(adv(20), 22), 9)) < rank(rank(open) + rank(open) < rank(MIDPOINT) + rank(high))),
        "-1 where the correlation of price and dollar volume ranks below that of a rise from the open, else 0.",
    ),
    Alpha(
        63,
        -(
            rank(decay_linear(delta(neutralize(close, INDUSTRY), 2), 8))
            - rank(decay_linear(corr(blend(VWAP, open, 0.318108), sum(adv(180), 37), 13), 12))
        ),
        "Reversal of the change of the close within its group, plus the correlation of price and dollar volume.",
    ),
    Alpha(
        64,
        -(
            rank(corr(sum(blend(open, low, 0.178404), 12), sum(adv(120), 12), 16))
            < rank(delta(blend(MIDPOINT, VWAP, 0.178404), 3))
        ),
        "-1 where the correlation of price and dollar volume ranks below the 3-session price change, else 0.",
    ),
    Alpha(
        65,
        -(rank(corr(blend(open, VWAP, 0.00817205), sum(adv(60), 8), 6)) < rank(open - min(open, 13))),
        "-1 where the correlation of price and dollar volume ranks below the open's distance from its low, else 0.",
    ),
    Alpha(
        66,
        -(
            rank(decay_linear(delta(VWAP, 3), 7))
            + ts_rank(decay_linear((blend(low, low, 0.96633) - VWAP) / (open - MIDPOINT), 11), 6)
        ),
        "Reversal of the 3-session price change, and against a low far under the average price by its own history.",
    ),
    Alpha(
        67,
        -(rank(high - min(high, 2)) ** rank(corr(neutralize(VWAP, sector), neutralize(adv(20), SUBINDUSTRY), 6))),
        "Against a rising high, to the power of how price and dollar volume move together within the group.",
    ),
    Alpha(
        68,
        -(ts_rank(corr(rank(high), rank(adv(15)), 8), 13) < rank(delta(blend(close, low, 0.518371), 1))),
        "-1 where high and dollar volume have come apart more than the price rose today, else 0.",
    ),
    Alpha(
        69,
        -(
            rank(max(delta(neutralize(VWAP, INDUSTRY), 2), 4))
            ** ts_rank(corr(blend(close, VWAP, 0.490655), adv(20), 4), 9)
        ),
        "Against a rise within the group, to the power of the standing of the correlation of price and dollar volume.",
    ),
    Alpha(
        70,
        -(rank(delta(VWAP, 1)) ** ts_rank(corr(neutralize(close, INDUSTRY), adv(50), 17), 17)),
        "Against the day's rise, to the power of the standing of the correlation of price and dollar volume.",
    ),
    Alpha(
        71,
        maximum(
            ts_rank(decay_linear(corr(ts_rank(close, 3), ts_rank(adv(180), 12), 18), 4), 15),
            ts_rank(decay_linear(rank((low + open) - (VWAP + VWAP)) ** 2, 16), 4),
        ),
        "The larger of two standings: of the correlation of price and dollar volume, and of prices below the average.",
    ),
    Alpha(
        72,
        rank(decay_linear(corr(MIDPOINT, adv(40), 8), 10))
        / rank(decay_linear(corr(ts_rank(VWAP, 3), ts_rank(volume, 18), 6), 2)),
        "Correlation of price and dollar volume over that of their standings in their own history.",
    ),
    Alpha(
        73,
        -maximum(
            rank(decay_linear(delta(VWAP, 4), 2)),
            ts_rank(decay_linear(-(delta(_low_open, 2) / _low_open), 3), 16),
        ),
        "Against the larger of the 4-session price rise and the standing of the 2-session fall.",
    ),
    Alpha(
        74,
        -(rank(corr(close, sum(adv(30), 37), 15)) < rank(corr(rank(blend(high, VWAP, 0.0261661)), rank(volume), 11))),
        "-1 where price and dollar volume agree less than price and volume ranks do, else 0.",
    ),
    Alpha(
        75,
        rank(corr(VWAP, volume, 4)) < rank(corr(rank(low), rank(adv(50)), 12)),
        "1 where price and volume agree less than the ranks of low and dollar volume do, else 0.",
    ),
    Alpha(
        76,
        -maximum(
            rank(decay_linear(delta(VWAP, 1), 11)),
            ts_rank(decay_linear(ts_rank(corr(neutralize(low, sector), adv(81), 8), 19), 17), 19),
        ),
        "Against the larger of the recent price rise and the standing of the correlation of low and dollar volume.",
    ),
    Alpha(
        77,
        minimum(
            rank(decay_linear((MIDPOINT + high) - (VWAP + high), 20)),
            rank(decay_linear(corr(MIDPOINT, adv(40), 3), 5)),
        ),
        "The smaller of the midpoint above the average price and the correlation of midpoint and dollar volume.",
    ),
    Alpha(
        78,
        rank(corr(sum(blend(low, VWAP, 0.352233), 19), sum(adv(40), 19), 6)) ** rank(corr(rank(VWAP), rank(volume), 5)),
        "Correlation of price and dollar volume, to the power of that of price and volume ranks.",
    ),
    Alpha(
        79,
        rank(delta(neutralize(blend(close, open, 0.60733), sector), 1))
        < rank(corr(ts_rank(VWAP, 3), ts_rank(adv(150), 9), 14)),
        "1 where the day's change within the group ranks below the agreement of price and dollar volume, else 0.",
    ),
    Alpha(
        80,
        -(
            rank(sign(delta(neutralize(blend(open, high, 0.868128), INDUSTRY), 4)))
            ** ts_rank(corr(high, adv(10), 5), 5)
        ),
        "Against the direction of a 4-session change within the group, to the power of price with dollar volume.",
    ),
    Alpha(
        81,
        -(
            rank(log(product(rank(rank(corr(VWAP, sum(adv(10), 49), 8)) ** 4), 14)))
            < rank(corr(rank(VWAP), rank(volume), 5))
        ),
        "-1 where price and dollar volume agreed less over 14 sessions than price and volume ranks do, else 0.",
    ),
    Alpha(
        82,
        -minimum(
            rank(decay_linear(delta(open, 1), 14)),
            ts_rank(decay_linear(corr(neutralize(volume, sector), blend(open, open, 0.634196), 17), 6), 13),
        ),
        "Against the smaller of the open's recent rise and the standing of its correlation with volume in the group.",
    ),
    Alpha(
        83,
        rank(delay(_range, 2)) * rank(rank(volume)) / (_range / (VWAP - close)),
        "Close below the day's average price on high volume, where the range has narrowed.",
        CURRENCY,
    ),
    Alpha(
        84,
        signed_power(ts_rank(VWAP - max(VWAP, 15), 20), delta(close, 4)),
        "Standing of the distance from the 15-session high, to the power of the 4-session change in currency.",
        MIXED,
    ),
    Alpha(
        85,
        rank(corr(blend(high, close, 0.876703), adv(30), 9))
        ** rank(corr(ts_rank(MIDPOINT, 3), ts_rank(volume, 10), 7)),
        "Correlation of price and dollar volume, to the power of that of their standings.",
    ),
    Alpha(
        86,
        -(ts_rank(corr(close, sum(adv(20), 14), 6), 20) < rank((open + close) - (VWAP + open))),
        "-1 where the standing of price with dollar volume is below the close's rank above the average price, else 0.",
    ),
    Alpha(
        87,
        -maximum(
            rank(decay_linear(delta(blend(close, VWAP, 0.369701), 1), 2)),
            ts_rank(decay_linear(abs(corr(neutralize(adv(81), INDUSTRY), close, 13)), 4), 14),
        ),
        "Against the larger of the price's rise and the standing of how strongly it moves with dollar volume.",
    ),
    Alpha(
        88,
        minimum(
            rank(decay_linear((rank(open) + rank(low)) - (rank(high) + rank(close)), 8)),
            ts_rank(decay_linear(corr(ts_rank(close, 8), ts_rank(adv(60), 20), 8), 6), 2),
        ),
        "The smaller of a fall in the day by ranks and the standing of price with dollar volume.",
    ),
    Alpha(
        89,
        ts_rank(decay_linear(corr(blend(low, low, 0.967285), adv(10), 6), 5), 3)
        - ts_rank(decay_linear(delta(neutralize(VWAP, INDUSTRY), 3), 10), 15),
        "Standing of the correlation of low and dollar volume, less that of the price change within the group.",
    ),
    Alpha(
        90,
        -(rank(close - max(close, 4)) ** ts_rank(corr(neutralize(adv(40), SUBINDUSTRY), low, 5), 3)),
        "Against a close near its 4-session high, to the power of the standing of low with dollar volume.",
    ),
    Alpha(
        91,
        -(
            ts_rank(decay_linear(decay_linear(corr(neutralize(close, INDUSTRY), volume, 9), 16), 3), 4)
            - rank(decay_linear(corr(VWAP, adv(30), 4), 2))
        ),
        "Against a growing correlation of close and volume, less that of price and dollar volume.",
    ),
    Alpha(
        92,
        minimum(
            ts_rank(decay_linear(MIDPOINT + close < low + open, 14), 18),
            ts_rank(decay_linear(corr(rank(low), rank(adv(30)), 7), 6), 6),
        ),
        "The smaller of two standings: of days that fell, and of the correlation of low and dollar volume ranks.",
    ),
    Alpha(
        93,
        ts_rank(decay_linear(corr(neutralize(VWAP, INDUSTRY), adv(81), 17), 19), 7)
        / rank(decay_linear(delta(blend(close, VWAP, 0.524434), 2), 16)),
        "Standing of price with dollar volume in the group, over the rank of the recent price change.",
    ),
    Alpha(
        94,
        -(rank(VWAP - min(VWAP, 11)) ** ts_rank(corr(ts_rank(VWAP, 19), ts_rank(adv(60), 4), 18), 2)),
        "Against prices above their 11-session low, to the power of the standing of price with dollar volume.",
    ),
    Alpha(
        95,
        rank(open - min(open, 12)) < ts_rank(rank(corr(sum(MIDPOINT, 19), sum(adv(40), 19), 12)) ** 5, 11),
        "1 where the open's rank above its 12-session low is below the standing of price with dollar volume, else 0.",
    ),
    Alpha(
        96,
        -maximum(
            ts_rank(decay_linear(corr(rank(VWAP), rank(volume), 3), 4), 8),
            ts_rank(
                decay_linear(argmax(_close_with_volume, 12, min_periods=1), 14, min_periods=1),
                13,
                min_periods=1,
            ),
        ),
        "Against the larger standing of price with volume and of how recently price and dollar volume agreed most."
        + _TAKES_WHAT_IS_THERE,
    ),
    Alpha(
        97,
        -(
            rank(decay_linear(delta(neutralize(blend(low, VWAP, 0.721001), INDUSTRY), 3), 20))
            - ts_rank(decay_linear(ts_rank(_low_with_volume, 18, min_periods=1), 15, min_periods=1), 6, min_periods=1)
        ),
        "Reversal of the price change within the group, plus the standing of low with dollar volume."
        + _TAKES_WHAT_IS_THERE,
    ),
    Alpha(
        98,
        rank(decay_linear(corr(VWAP, sum(adv(5), 26), 4), 7))
        - rank(decay_linear(ts_rank(argmin(corr(rank(open), rank(adv(15)), 20), 8), 6), 8)),
        "Correlation of price and dollar volume, less how recently the ranks of open and dollar volume agreed least.",
    ),
    Alpha(
        99,
        -(rank(corr(sum(MIDPOINT, 19), sum(adv(60), 19), 8)) < rank(corr(low, volume, 6))),
        "-1 where slow price and dollar volume agree less than low and volume do, else 0.",
    ),
    Alpha(
        100,
        -(
            (
                1.5 * scale(neutralize(neutralize(rank(_close_in_range * volume), SUBINDUSTRY), SUBINDUSTRY))
                - scale(neutralize(corr(close, rank(adv(20)), 5) - rank(argmin(close, 30)), SUBINDUSTRY))
            )
            * (volume / adv(20))
        ),
        "Against closes high in the day's range on volume within the group, times shares traded per dollar volume.",
        "shares per currency unit",
    ),
    Alpha(101, (close - open) / ((high - low) + 0.001), "The day's rise from the open over its range.", MIXED),
)

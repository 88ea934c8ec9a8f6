"""Formulas 1 to 57 of the 101 Formulaic Alphas."""

from factor_assets.expressions import (
    abs,  # noqa: A004
    argmax,
    close,
    corr,
    cov,
    decay_linear,
    delay,
    delta,
    high,
    log,
    low,
    market_cap,
    max,  # noqa: A004
    min,  # noqa: A004
    neutralize,
    open,  # noqa: A004
    product,
    rank,
    returns,
    scale,
    sign,
    signed_power,
    std,
    sum,  # noqa: A004
    ts_rank,
    volume,
    where,
)
from factor_assets.factors.libraries.alpha101_terms import (
    CURRENCY,
    MIDPOINT,
    MIXED,
    MIXED_SHARES,
    SUBINDUSTRY,
    VWAP,
    Alpha,
    adv,
)

_change = delta(close, 1)
_swing = sum(open, 5) * sum(returns, 5)
_trend_break = (delay(close, 20) - delay(close, 10)) / 10 - (delay(close, 10) - close) / 10
_mean_8 = sum(close, 8) / 8
_mean_2 = sum(close, 2) / 2
_drift = delta(sum(close, 100) / 100, 100) / delay(close, 100)
_place_in_range = (close - min(low, 12)) / (max(high, 12) - min(low, 12))

ALPHAS_1_TO_57 = (
    Alpha(
        1,
        rank(argmax(signed_power(where(returns < 0, std(returns, 20), close), 2), 5)) - 0.5,
        "How late in the last 5 sessions the largest square fell, of the close or on a fall of the volatility.",
    ),
    Alpha(
        2,
        -corr(rank(delta(log(volume), 2)), rank((close - open) / open), 6),
        "Against days on which growing volume and a rise from the open come together.",
    ),
    Alpha(3, -corr(rank(open), rank(volume), 10), "Against names whose open and volume ranks move together."),
    Alpha(4, -ts_rank(rank(low), 9), "Against names whose low is high among others, by their own last 9 sessions."),
    Alpha(
        5,
        rank(open - sum(VWAP, 10) / 10) * -abs(rank(close - VWAP)),
        "Open above the 10-session average price, against a close above the day's average price.",
    ),
    Alpha(6, -corr(open, volume, 10), "Against open and volume that move together over 10 sessions."),
    Alpha(
        7,
        where(adv(20) < volume, -ts_rank(abs(delta(close, 7)), 60) * sign(delta(close, 7)), -1),
        "Reversal of a large 7-session move on days of high volume, else -1. As published it compares shares with"
        " currency, which leaves -1 for nearly all names that cost more than one currency unit.",
        MIXED_SHARES,
    ),
    Alpha(
        8,
        -rank(_swing - delay(_swing, 10)),
        "Against names whose 5-session price level times return has grown over 10 sessions.",
    ),
    Alpha(
        9,
        where(min(_change, 5) > 0, _change, where(max(_change, 5) < 0, _change, -_change)),
        "The day's change, followed when 5 sessions had one direction, else reversed.",
        CURRENCY,
    ),
    Alpha(
        10,
        rank(where(min(_change, 4) > 0, _change, where(max(_change, 4) < 0, _change, -_change))),
        "Rank of the day's change, followed when 4 sessions had one direction, else reversed.",
    ),
    Alpha(
        11,
        (rank(max(VWAP - close, 3)) + rank(min(VWAP - close, 3))) * rank(delta(volume, 3)),
        "Closes below the day's average price over 3 sessions, on growing volume.",
    ),
    Alpha(
        12,
        sign(delta(volume, 1)) * -delta(close, 1),
        "Reversal of the day's change where volume grew, continuation where it fell.",
        CURRENCY,
    ),
    Alpha(13, -rank(cov(rank(close), rank(volume), 5)), "Against close and volume ranks that move together."),
    Alpha(
        14,
        -rank(delta(returns, 3)) * corr(open, volume, 10),
        "Against returns that have risen over 3 sessions, where open and volume move together.",
    ),
    Alpha(
        15,
        -sum(rank(corr(rank(high), rank(volume), 3)), 3),
        "Against high and volume ranks that move together, summed over 3 sessions.",
    ),
    Alpha(16, -rank(cov(rank(high), rank(volume), 5)), "Against high and volume ranks that move together."),
    Alpha(
        17,
        -rank(ts_rank(close, 10)) * rank(delta(delta(close, 1), 1)) * rank(ts_rank(volume / adv(20), 5)),
        "Against a close high in its last 10 sessions that accelerates on unusual volume.",
    ),
    Alpha(
        18,
        -rank(std(abs(close - open), 5) + (close - open) + corr(close, open, 10)),
        "Against a rise from the open, its recent spread and the agreement of open and close, added as published.",
        MIXED,
    ),
    Alpha(
        19,
        -sign((close - delay(close, 7)) + delta(close, 7)) * (1 + rank(1 + sum(returns, 250))),
        "Reversal of the 7-session move, stronger for the year's winners.",
    ),
    Alpha(
        20,
        -rank(open - delay(high, 1)) * rank(open - delay(close, 1)) * rank(open - delay(low, 1)),
        "Against an open above yesterday's high, close and low.",
    ),
    Alpha(
        21,
        where(
            _mean_8 + std(close, 8) < _mean_2,
            -1,
            where(_mean_2 < _mean_8 - std(close, 8), 1, where(volume / adv(20) >= 1, 1, -1)),
        ),
        "-1 where the 2-session mean is above the 8-session band, 1 where below, between by volume. As published it"
        " compares shares with currency, which leaves -1 for nearly all names that cost more than one currency unit.",
        MIXED_SHARES,
    ),
    Alpha(
        22,
        -(delta(corr(high, volume, 5), 5) * rank(std(close, 20))),
        "Against a growing correlation of high and volume in volatile names.",
    ),
    Alpha(
        23,
        where(sum(high, 20) / 20 < high, -delta(high, 2), 0),
        "Reversal of the 2-session change of a high above its 20-session mean, else 0.",
        CURRENCY,
    ),
    Alpha(
        24,
        where(_drift <= 0.05, -(close - min(close, 100)), -delta(close, 3)),
        "Distance below the close from its 100-session low where the 100-session mean rose by at most 5%, else"
        " 3-session reversal.",
        CURRENCY,
    ),
    Alpha(
        25,
        rank(-returns * adv(20) * VWAP * (high - close)),
        "Rank of a fall that closed far below its high, in large traded names.",
    ),
    Alpha(
        26,
        -max(corr(ts_rank(volume, 5), ts_rank(high, 5), 5), 3),
        "Against volume and high that peak together, at worst in 3 sessions.",
    ),
    Alpha(
        27,
        where(rank(sum(corr(rank(volume), rank(VWAP), 6), 2) / 2) > 0.5, -1, 1),
        "-1 for the half of the names whose volume and price ranks agree most, else 1.",
    ),
    Alpha(
        28,
        scale(corr(adv(20), low, 5) + MIDPOINT - close),
        "Close below the day's midpoint plus the correlation of dollar volume and low, added as published.",
        MIXED,
    ),
    Alpha(
        29,
        min(product(rank(rank(scale(log(sum(min(rank(rank(-rank(delta(close - 1, 5)))), 2), 1))))), 1), 5)
        + ts_rank(delay(-returns, 6), 5),
        "5-session reversal that lasted, plus where the return of 6 sessions ago stood; min(x, 5) is over time.",
    ),
    Alpha(
        30,
        (
            1
            - rank(
                sign(close - delay(close, 1))
                + sign(delay(close, 1) - delay(close, 2))
                + sign(delay(close, 2) - delay(close, 3))
            )
        )
        * sum(volume, 5)
        / sum(volume, 20),
        "Against 3 sessions of one direction, by recent volume.",
    ),
    Alpha(
        31,
        rank(rank(rank(decay_linear(-rank(rank(delta(close, 10))), 10))))
        + rank(-delta(close, 3))
        + sign(scale(corr(adv(20), low, 12))),
        "10- and 3-session reversal, plus the sign of the correlation of dollar volume and low.",
    ),
    Alpha(
        32,
        scale(sum(close, 7) / 7 - close) + 20 * scale(corr(VWAP, delay(close, 5), 230)),
        "Close below its 7-session mean, plus how far prices repeat those of 5 sessions before.",
    ),
    Alpha(33, rank(-((1 - open / close) ** 1)), "Rank of a fall from open to close."),
    Alpha(
        34,
        rank((1 - rank(std(returns, 2) / std(returns, 5))) + (1 - rank(delta(close, 1)))),
        "Falling volatility and a falling price.",
    ),
    Alpha(
        35,
        ts_rank(volume, 32) * (1 - ts_rank(close + high - low, 16)) * (1 - ts_rank(returns, 32)),
        "High volume at a low price and a low return, each by its own history.",
    ),
    Alpha(
        36,
        2.21 * rank(corr(close - open, delay(volume, 1), 15))
        + 0.7 * rank(open - close)
        + 0.73 * rank(ts_rank(delay(-returns, 6), 5))
        + rank(abs(corr(VWAP, adv(20), 6)))
        + 0.6 * rank((sum(close, 200) / 200 - open) * (close - open)),
        "Weighted ranks of five: volume before a rise, a fall in the day, an old fall, price with volume, and trend.",
    ),
    Alpha(
        37,
        rank(corr(delay(open - close, 1), close, 200)) + rank(open - close),
        "A fall in the day, and how far falls of the day before went with high closes.",
    ),
    Alpha(
        38,
        -rank(ts_rank(close, 10)) * rank(close / open),
        "Against a close high in its last 10 sessions that rose in the day.",
    ),
    Alpha(
        39,
        -rank(delta(close, 7) * (1 - rank(decay_linear(volume / adv(20), 9)))) * (1 + rank(sum(returns, 250))),
        "Reversal of a 7-session move on low volume, stronger for the year's winners.",
    ),
    Alpha(
        40,
        -rank(std(high, 10)) * corr(high, volume, 10),
        "Against volatile names whose high and volume move together.",
    ),
    Alpha(41, (high * low) ** 0.5 - VWAP, "Geometric midpoint of the day less its average price.", CURRENCY),
    Alpha(42, rank(VWAP - close) / rank(VWAP + close), "Close below the day's average price, over the price level."),
    Alpha(
        43,
        ts_rank(volume / adv(20), 20) * ts_rank(-delta(close, 7), 8),
        "Reversal of a 7-session move on high volume, each by its own history.",
    ),
    Alpha(44, -corr(high, rank(volume), 5), "Against high and volume rank that move together."),
    Alpha(
        45,
        -(rank(sum(delay(close, 5), 20) / 20) * corr(close, volume, 2) * rank(corr(sum(close, 5), sum(close, 20), 2))),
        "Against price and volume that moved the same way today, where short and long trends agree.",
    ),
    Alpha(
        46,
        where(_trend_break > 0.25, -1, where(_trend_break < 0, 1, -(close - delay(close, 1)))),
        "-1 where the price turned up from its 20-session path, 1 where down, else the day's reversal.",
        MIXED,
    ),
    Alpha(
        47,
        rank(1 / close) * volume / adv(20) * (high * rank(high - close) / (sum(high, 5) / 5))
        - rank(VWAP - delay(VWAP, 5)),
        "Low-priced names on high volume that closed far below their high, less the 5-session price change.",
        "shares per currency unit, less a rank",
    ),
    Alpha(
        48,
        neutralize(corr(delta(close, 1), delta(delay(close, 1), 1), 250) * delta(close, 1) / close, SUBINDUSTRY)
        / sum((delta(close, 1) / delay(close, 1)) ** 2, 250),
        "The day's return times its autocorrelation over a year, against its group, over the year's variance.",
    ),
    Alpha(
        49,
        where(_trend_break < -0.1, 1, -(close - delay(close, 1))),
        "1 where the price turned down by more than 0.1 a session from its 20-session path, else the day's reversal.",
        MIXED,
    ),
    Alpha(
        50,
        -max(rank(corr(rank(volume), rank(VWAP), 5)), 5),
        "Against volume and price ranks that agree, at worst in 5 sessions.",
    ),
    Alpha(
        51,
        where(_trend_break < -0.05, 1, -(close - delay(close, 1))),
        "1 where the price turned down by more than 0.05 a session from its 20-session path, else the day's reversal.",
        MIXED,
    ),
    Alpha(
        52,
        (-min(low, 5) + delay(min(low, 5), 5))
        * rank((sum(returns, 240) - sum(returns, 20)) / 220)
        * ts_rank(volume, 5),
        "A 5-session low that fell in a name with a good year, on high volume.",
        CURRENCY,
    ),
    Alpha(
        53,
        -delta(((close - low) - (high - close)) / (close - low), 9),
        "Against a close that has moved up in the day's range over 9 sessions.",
    ),
    Alpha(
        54,
        -((low - close) * open**5) / ((low - high) * close**5),
        "Against a close high in the day's range, times the fifth power of open over close.",
    ),
    Alpha(
        55,
        -corr(rank(_place_in_range), rank(volume), 6),
        "Against volume that moves with the close's place in its 12-session range.",
    ),
    Alpha(
        56,
        -(rank(sum(returns, 10) / sum(sum(returns, 2), 3)) * rank(returns * market_cap)),
        "Against the day's change in value, where the 10-session return is large against the last few.",
    ),
    Alpha(
        57,
        -((close - VWAP) / decay_linear(rank(argmax(close, 30)), 2)),
        "Close below the day's average price, more so where the 30-session high is long ago.",
        CURRENCY,
    ),
)

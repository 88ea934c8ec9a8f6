"""The panel's fields of prices as names for formulas; what they mean is in `panel.fields.FIELDS`."""

from factor_assets.expressions.expression import Field

open = Field("open")  # noqa: A001
high = Field("high")
low = Field("low")
close = Field("close")
volume = Field("volume")
raw_open = Field("raw_open")
raw_high = Field("raw_high")
raw_low = Field("raw_low")
raw_close = Field("raw_close")
raw_volume = Field("raw_volume")
split_close = Field("split_close")
dollar_volume = Field("dollar_volume")
returns = Field("returns")
shares_outstanding = Field("shares_outstanding")
market_cap = Field("market_cap")
sector = Field("sector")

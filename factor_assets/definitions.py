"""The code location that Dagster loads: the graph of the settings that this process finds."""

from factor_assets.defs.graph import build_definitions
from factor_assets.settings_file import load_settings

defs = build_definitions(load_settings())

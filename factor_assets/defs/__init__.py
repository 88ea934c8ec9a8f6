"""Dagster, and only here: assets, partitions, checks, jobs, schedules and sensors over the pure stages.

Nothing in this folder computes; a body reads, calls a pure function, and replaces its slice in the store.
"""

import warnings

import dagster as dg

# Single-run backfills and lookback mappings are in beta in Dagster 1.13; we test what we use of them, and a user can
# do nothing about the warning.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

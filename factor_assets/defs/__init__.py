"""Dagster, and only here: assets, partitions, checks, jobs, schedules and sensors over the pure stages.

Nothing in this folder computes; a body reads, calls a pure function, and replaces its slice in the store.
"""

"""Tests of `factor_assets.panel`."""

"""Tests; the folders mirror factor_assets."""

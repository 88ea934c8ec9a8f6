"""Factors by family: one file a family, one variable a factor."""

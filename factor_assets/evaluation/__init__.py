"""Factors and later returns -> evidence: portfolios, rank IC, regressions, performance, summary, tear sheet."""

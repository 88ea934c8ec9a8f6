"""Raw rows -> what was known, when: calendar, universe, clean prices, adjustments, and the aligned `Panel`."""

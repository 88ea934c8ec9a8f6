"""Raw rows -> what was known, when: universe, clean prices, adjustments, and the aligned `Panel`."""

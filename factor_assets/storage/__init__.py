"""Tables at rest: one contract, `Store`, and its implementations. Nothing here knows what the numbers mean."""

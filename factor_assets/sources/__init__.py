"""The outside world to raw price rows, as delivered; one file a source. Nothing is cleaned or adjusted here."""

"""The contracts and formats, as data."""

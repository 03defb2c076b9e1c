"""The measure: array in, number out; it knows no network."""

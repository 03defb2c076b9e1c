"""The labelled result, and all that is computed from it."""

"""Recorded neurons: from spikes or traces over time to responses, states and their repeats."""

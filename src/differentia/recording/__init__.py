"""A network is shown stimuli, and its responses are kept."""

"""The methods paragraph of a paper, and the works that it cites."""

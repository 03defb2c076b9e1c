"""The machine, below everything: files, memory and cores, locks, random sources."""

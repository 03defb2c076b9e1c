"""Where what was recorded is kept until it is measured: in memory, or in a folder that outlives the run."""

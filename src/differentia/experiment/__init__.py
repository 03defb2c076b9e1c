"""Where the stages are joined: options, analysis, the experiment file, `measure`."""

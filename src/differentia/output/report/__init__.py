"""The report: a result as one self-contained page that can be explored, and shown in a notebook."""

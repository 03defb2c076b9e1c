"""The report: a result as one self-contained page that can be explored, and shown in a notebook."""

from differentia.report.page import show, write_report

__all__ = ["show", "write_report"]

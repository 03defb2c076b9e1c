"""Pictures of a result; no statistic is computed here."""

from __future__ import annotations

from differentia.figures.contrasts import plot_contrast
from differentia.figures.heatmaps import plot_distances, plot_filters, plot_predictions
from differentia.figures.lines import plot, plot_kinds, plot_relative
from differentia.figures.maps import plot_maps
from differentia.figures.save import save_figures, save_kinds

__all__ = [
    "plot",
    "plot_contrast",
    "plot_distances",
    "plot_filters",
    "plot_kinds",
    "plot_maps",
    "plot_predictions",
    "plot_relative",
    "save_figures",
    "save_kinds",
]

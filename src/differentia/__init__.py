"""How differently does a network, or a brain, respond to different things?

The public names are imported when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differentia.definition.measure import differentiation
    from differentia.errors import (
        DifferentiaError,
        DifferentiaWarning,
        FolderInUseError,
        InputError,
        RecordingError,
        StorageError,
    )
    from differentia.experiment.measure import measure, measure_kinds, measure_responses
    from differentia.networks.base import Network
    from differentia.networks.load import load_network
    from differentia.output.figures.contrasts import plot_contrast
    from differentia.output.figures.heatmaps import plot_distances, plot_filters, plot_predictions
    from differentia.output.figures.lines import plot, plot_kinds, plot_relative
    from differentia.output.figures.maps import plot_maps
    from differentia.output.paper.paragraph import Methods, describe_methods
    from differentia.output.paper.references import Reference
    from differentia.output.report.page import show, write_report
    from differentia.recording.record import record
    from differentia.recording.responses import Responses
    from differentia.recording.selection import Selection, select, write_selection
    from differentia.results.contrasts import contrast
    from differentia.results.draws import draw_mean, draw_spread, not_converged
    from differentia.results.files import load_result, save
    from differentia.results.intervals import with_intervals
    from differentia.results.precision import precision, say_precision
    from differentia.results.published import compare_with_published, published_curves
    from differentia.results.relative import relative, relative_interval
    from differentia.results.tables import records, to_dataframe, top_classes
    from differentia.stimuli.base import Stimuli
    from differentia.stimuli.noise import noise
    from differentia.stimuli.saving import save_images
    from differentia.stimuli.sources import images

_HOMES = {
    "DifferentiaError": "errors",
    "DifferentiaWarning": "errors",
    "FolderInUseError": "errors",
    "InputError": "errors",
    "Methods": "output.paper.paragraph",
    "Network": "networks.base",
    "RecordingError": "errors",
    "Reference": "output.paper.references",
    "Responses": "recording.responses",
    "Selection": "recording.selection",
    "Stimuli": "stimuli.base",
    "StorageError": "errors",
    "compare_with_published": "results.published",
    "contrast": "results.contrasts",
    "describe_methods": "output.paper.paragraph",
    "differentiation": "definition.measure",
    "draw_mean": "results.draws",
    "draw_spread": "results.draws",
    "images": "stimuli.sources",
    "load_network": "networks.load",
    "load_result": "results.files",
    "measure": "experiment.measure",
    "measure_kinds": "experiment.measure",
    "measure_responses": "experiment.measure",
    "noise": "stimuli.noise",
    "not_converged": "results.draws",
    "plot": "output.figures.lines",
    "plot_contrast": "output.figures.contrasts",
    "plot_distances": "output.figures.heatmaps",
    "plot_filters": "output.figures.heatmaps",
    "plot_kinds": "output.figures.lines",
    "plot_maps": "output.figures.maps",
    "plot_predictions": "output.figures.heatmaps",
    "plot_relative": "output.figures.lines",
    "precision": "results.precision",
    "published_curves": "results.published",
    "record": "recording.record",
    "records": "results.tables",
    "relative": "results.relative",
    "relative_interval": "results.relative",
    "save": "results.files",
    "save_images": "stimuli.saving",
    "say_precision": "results.precision",
    "select": "recording.selection",
    "show": "output.report.page",
    "to_dataframe": "results.tables",
    "top_classes": "results.tables",
    "with_intervals": "results.intervals",
    "write_report": "output.report.page",
    "write_selection": "recording.selection",
}

__all__ = [
    "DifferentiaError",
    "DifferentiaWarning",
    "FolderInUseError",
    "InputError",
    "Methods",
    "Network",
    "RecordingError",
    "Reference",
    "Responses",
    "Selection",
    "Stimuli",
    "StorageError",
    "compare_with_published",
    "contrast",
    "describe_methods",
    "differentiation",
    "draw_mean",
    "draw_spread",
    "images",
    "load_network",
    "load_result",
    "measure",
    "measure_kinds",
    "measure_responses",
    "noise",
    "not_converged",
    "plot",
    "plot_contrast",
    "plot_distances",
    "plot_filters",
    "plot_kinds",
    "plot_maps",
    "plot_predictions",
    "plot_relative",
    "precision",
    "published_curves",
    "record",
    "records",
    "relative",
    "relative_interval",
    "save",
    "save_images",
    "say_precision",
    "select",
    "show",
    "to_dataframe",
    "top_classes",
    "with_intervals",
    "write_report",
    "write_selection",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("differentia")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

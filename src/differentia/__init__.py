"""How differently does a network, or a brain, respond to different things?

The public names are imported when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differentia.contrasts import contrast
    from differentia.definition import differentiation
    from differentia.draws import draw_mean, draw_spread, not_converged
    from differentia.errors import (
        DifferentiaError,
        DifferentiaWarning,
        FolderInUseError,
        InputError,
        RecordingError,
        StorageError,
    )
    from differentia.experiment import measure, measure_kinds, measure_responses
    from differentia.figures import (
        plot,
        plot_contrast,
        plot_distances,
        plot_filters,
        plot_kinds,
        plot_maps,
        plot_predictions,
        plot_relative,
    )
    from differentia.intervals import with_intervals
    from differentia.networks import Network, load_network
    from differentia.paper.paragraph import Methods, describe_methods
    from differentia.paper.references import Reference
    from differentia.published import compare_with_published, published_curves
    from differentia.recording import record
    from differentia.relatives import relative, relative_interval
    from differentia.report import show, write_report
    from differentia.responses import Responses
    from differentia.result_files import load_result, save
    from differentia.selection import Selection, select, write_selection
    from differentia.stimuli import Stimuli, images, noise, save_images
    from differentia.sufficiency import precision, say_precision
    from differentia.tables import records, to_dataframe, top_classes

_HOMES = {
    "DifferentiaError": "errors",
    "DifferentiaWarning": "errors",
    "FolderInUseError": "errors",
    "InputError": "errors",
    "Methods": "paper.paragraph",
    "Network": "networks",
    "RecordingError": "errors",
    "Reference": "paper.references",
    "Responses": "responses",
    "Selection": "selection",
    "Stimuli": "stimuli",
    "StorageError": "errors",
    "compare_with_published": "published",
    "contrast": "contrasts",
    "describe_methods": "paper.paragraph",
    "differentiation": "definition",
    "draw_mean": "draws",
    "draw_spread": "draws",
    "images": "stimuli",
    "load_network": "networks",
    "load_result": "result_files",
    "measure": "experiment",
    "measure_kinds": "experiment",
    "measure_responses": "experiment",
    "noise": "stimuli",
    "not_converged": "draws",
    "plot": "figures",
    "plot_contrast": "figures",
    "plot_distances": "figures",
    "plot_filters": "figures",
    "plot_kinds": "figures",
    "plot_maps": "figures",
    "plot_predictions": "figures",
    "plot_relative": "figures",
    "precision": "sufficiency",
    "published_curves": "published",
    "record": "recording",
    "records": "tables",
    "relative": "relatives",
    "relative_interval": "relatives",
    "save": "result_files",
    "save_images": "stimuli",
    "say_precision": "sufficiency",
    "select": "selection",
    "show": "report",
    "to_dataframe": "tables",
    "top_classes": "tables",
    "with_intervals": "intervals",
    "write_report": "report",
    "write_selection": "selection",
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

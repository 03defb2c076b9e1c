# The public names and where each comes from; the package imports a name when it is first used.
from .definition.measure import differentiation as differentiation
from .errors import (
    DifferentiaError as DifferentiaError,
    DifferentiaWarning as DifferentiaWarning,
    FolderInUseError as FolderInUseError,
    InputError as InputError,
    RecordingError as RecordingError,
    StorageError as StorageError,
)
from .experiment.measure import (
    measure as measure,
    measure_kinds as measure_kinds,
    measure_responses as measure_responses,
)
from .experiment.states import measure_states as measure_states
from .networks.base import Network as Network
from .networks.load import load_network as load_network
from .neurons.at_hand import as_recording as as_recording
from .neurons.nwb import read_recording as read_recording
from .neurons.preprocessing import detrended as detrended
from .neurons.recording import Recording as Recording
from .neurons.repeats import repeated_responses as repeated_responses
from .neurons.responses import (
    StimulusResponses as StimulusResponses,
    stimulus_responses as stimulus_responses,
)
from .neurons.states import states as states
from .neurons.trials import Trials as Trials, trials as trials
from .output.figures.across import plot_across as plot_across
from .output.figures.contrasts import plot_contrast as plot_contrast
from .output.figures.correlations import plot_depth as plot_depth
from .output.figures.heatmaps import (
    plot_distances as plot_distances,
    plot_filters as plot_filters,
    plot_predictions as plot_predictions,
)
from .output.figures.lines import plot as plot, plot_kinds as plot_kinds, plot_relative as plot_relative
from .output.figures.maps import plot_maps as plot_maps
from .output.figures.repeats import plot_repeats as plot_repeats
from .output.figures.save import save_figures as save_figures
from .output.figures.sets import plot_sets as plot_sets
from .output.figures.statistics import (
    plot_between as plot_between,
    plot_dimensionality as plot_dimensionality,
)
from .output.figures.time_courses import plot_time_courses as plot_time_courses
from .output.figures.trials import plot_trials as plot_trials
from .output.paper.paragraph import Methods as Methods, describe_methods as describe_methods
from .output.paper.references import Reference as Reference
from .output.report.page import show as show, write_report as write_report
from .recording.parts import record_part as record_part
from .recording.passes import PartRecorded as PartRecorded
from .recording.record import record as record
from .recording.response_files import read_responses as read_responses
from .recording.responses import Responses as Responses
from .recording.selection import Selection as Selection, select as select, write_selection as write_selection
from .results.across import across as across, contrast_across as contrast_across
from .results.contrasts import contrast as contrast, contrasts_between_sets as contrasts_between_sets
from .results.convergence import not_converged as not_converged
from .results.copies import say_copies as say_copies
from .results.depth import depth as depth
from .results.doubts import doubts as doubts, say_doubts as say_doubts
from .results.draws import draw_mean as draw_mean, draw_spread as draw_spread
from .results.files import load_result as load_result, save as save
from .results.following import say_depth as say_depth
from .results.intervals import with_intervals as with_intervals
from .results.mixed import mixed_model as mixed_model
from .results.precision import precision as precision, say_precision as say_precision
from .results.published import (
    compare_with_published as compare_with_published,
    published_curves as published_curves,
)
from .results.rdms import to_rsatoolbox as to_rsatoolbox
from .results.relative import relative as relative, relative_interval as relative_interval
from .results.renaming import rename as rename
from .results.repeats import measure_repeats as measure_repeats, say_repeats as say_repeats
from .results.statistics import statistics as statistics
from .results.tables import (
    records as records,
    save_table as save_table,
    to_dataframe as to_dataframe,
    top_classes as top_classes,
    trial_values as trial_values,
)
from .results.trials import compare_trials as compare_trials, say_trials as say_trials
from .stimuli.base import Stimuli as Stimuli
from .stimuli.noise import noise as noise
from .stimuli.saving import save_images as save_images
from .stimuli.sources import images as images, scramble as scramble
from .stimuli.tables import sets_from as sets_from

__all__: list[str]
__version__: str

"""The values of moving windows over time, as the page draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from differentia.output.report.curves import without_nan
from differentia.results.time_courses import has_time_courses, time_courses

if TYPE_CHECKING:
    import xarray as xr

#: Of each set; of more, every second, every third, and so on.
MOST_WINDOWS = 3_000


def courses(result: xr.Dataset) -> dict[str, Any] | None:
    """Return the courses of sets, in the order of the result; None where there are none."""
    if not has_time_courses(result):
        return None
    found = time_courses(result)
    every = max(-(-len(course.times) // MOST_WINDOWS) for course in found.of_sets.values())
    return {
        "aligned": found.aligned,
        "every": every,
        "sets": [
            {
                "times": without_nan(course.times[::every]),
                "values": without_nan(course.values[::every].T),
                "error": without_nan(course.error[::every].T),
                "trials": course.n_trials,
                "constant": course.constant,
            }
            for course in found.of_sets.values()
        ],
    }

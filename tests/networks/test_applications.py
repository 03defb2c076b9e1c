"""The networks of keras.applications: those of the Keras that is installed, with its options."""

from __future__ import annotations

import inspect

from differentia.networks.applications import APPLICATIONS
from differentia.networks.keras import import_keras


def test_the_list_is_that_of_keras() -> None:
    """Every public function of keras.applications, and all that each takes."""
    public = vars(import_keras().applications)
    constructors = {name: item for name, item in public.items() if inspect.isfunction(item)}
    assert set(APPLICATIONS) == set(constructors)
    for name, constructor in constructors.items():
        assert set(APPLICATIONS[name]) == set(inspect.signature(constructor).parameters), name

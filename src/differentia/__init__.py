"""How differently does a network, or a brain, respond to different things?

The public names stand in ``__init__.pyi``; each is imported when it is first used, so that importing this
package costs nothing.
"""

from typing import Any

import lazy_loader

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("differentia")
    return _public(name)

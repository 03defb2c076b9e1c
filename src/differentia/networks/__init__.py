"""Networks: whatever the user has, as images in and layers out."""

from differentia.networks.base import Network
from differentia.networks.load import load_network
from differentia.networks.preprocessing import PREPROCESSINGS
from differentia.networks.runner import COMPILE, Runner, require_compile

__all__ = ["COMPILE", "PREPROCESSINGS", "Network", "Runner", "load_network", "require_compile"]

"""Networks: whatever the user has, as images in and layers out."""

from differentia.networks.base import Network
from differentia.networks.load import load_network
from differentia.networks.preprocessing import PREPROCESSINGS

__all__ = ["PREPROCESSINGS", "Network", "load_network"]

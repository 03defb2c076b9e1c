"""Networks: whatever the user has, as images in and layers out."""

from differentia.networks.base import INPUT, Layer, Network, select_layers
from differentia.networks.load import load_network
from differentia.networks.preprocessing import PREPROCESSINGS

__all__ = ["INPUT", "PREPROCESSINGS", "Layer", "Network", "load_network", "select_layers"]

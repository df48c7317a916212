"""Images and labels: found, read, checked, and turned into the numbers a network takes."""

from mnistbench.data.dataset import DataIdentity, Dataset, data_source, identify, load, select
from mnistbench.data.preprocessing import NetworkData, network_data

__all__ = [
    "DataIdentity",
    "Dataset",
    "NetworkData",
    "data_source",
    "identify",
    "load",
    "network_data",
    "select",
]

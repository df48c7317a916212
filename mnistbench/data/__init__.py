"""Images and labels: found, read, checked, and turned into the numbers a network takes."""

from mnistbench.data.dataset import DataIdentity, Dataset, bring, identify, load, select
from mnistbench.data.preprocessing import NetworkData, network_data
from mnistbench.data.sources import not_here, source_of

__all__ = [
    "DataIdentity",
    "Dataset",
    "NetworkData",
    "bring",
    "identify",
    "load",
    "network_data",
    "not_here",
    "select",
    "source_of",
]

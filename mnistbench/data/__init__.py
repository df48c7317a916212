"""Images and labels: found, read, checked, and turned into the numbers a network takes."""

from mnistbench.data.dataset import DataIdentity, Dataset, data_source, identify, load, select
from mnistbench.data.preprocessing import (
    NetworkData,
    image_numbers,
    network_data,
    split_numbers,
)

__all__ = [
    "DataIdentity",
    "Dataset",
    "NetworkData",
    "data_source",
    "identify",
    "image_numbers",
    "load",
    "network_data",
    "select",
    "split_numbers",
]

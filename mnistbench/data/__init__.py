"""Images and labels: found, read, checked, and turned into the numbers a network takes."""

from mnistbench.data.dataset import (
    DataIdentity,
    Dataset,
    bring,
    checked,
    identify,
    import_copy,
    keep,
    load,
    select,
)
from mnistbench.data.preprocessing import NetworkData, network_data
from mnistbench.data.sources import find, not_here, source_of

__all__ = [
    "DataIdentity",
    "Dataset",
    "NetworkData",
    "bring",
    "checked",
    "find",
    "identify",
    "import_copy",
    "keep",
    "load",
    "network_data",
    "not_here",
    "select",
    "source_of",
]

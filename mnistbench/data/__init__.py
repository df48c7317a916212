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
from mnistbench.data.preprocessing import (
    NetworkData,
    image_numbers,
    network_data,
    split_numbers,
)
from mnistbench.data.sources import find, not_here, source_of

__all__ = [
    "DataIdentity",
    "Dataset",
    "NetworkData",
    "bring",
    "checked",
    "find",
    "identify",
    "image_numbers",
    "import_copy",
    "keep",
    "load",
    "network_data",
    "not_here",
    "select",
    "source_of",
    "split_numbers",
]

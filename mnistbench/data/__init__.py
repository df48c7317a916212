"""Images and labels: found, read, checked, and turned into the numbers a network takes."""

from mnistbench.data.arrays import can_be_lent
from mnistbench.data.dataset import (
    DataIdentity,
    Dataset,
    bring,
    checked,
    identify,
    import_copy,
    keep,
    keep_cached,
    learnt_count,
    load,
    select,
)
from mnistbench.data.preprocessing import (
    Numbers,
    RawImages,
    Split,
    image_numbers,
    numbers,
    raw_images,
)
from mnistbench.data.sources import find, not_here, source_of

__all__ = [
    "DataIdentity",
    "Dataset",
    "Numbers",
    "RawImages",
    "Split",
    "bring",
    "can_be_lent",
    "checked",
    "find",
    "identify",
    "image_numbers",
    "import_copy",
    "keep",
    "keep_cached",
    "learnt_count",
    "load",
    "not_here",
    "numbers",
    "raw_images",
    "select",
    "source_of",
]

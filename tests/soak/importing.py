"""The command, to which a data set of our own making is the published CIFAR-10.

No published data set can be had without a network, and only such a one is imported.
"""

from __future__ import annotations

from mnistbench.__main__ import main  # first, as it takes the signals

if __name__ == "__main__":
    import sys
    from dataclasses import replace

    import numpy as np

    from mnistbench.config.datasets import DATASETS
    from mnistbench.data.arrays import ARRAY_NAMES, digests

    with np.load(sys.argv[-1]) as file:
        ours = digests({name: file[name] for name in ARRAY_NAMES})
    DATASETS["cifar10"] = replace(DATASETS["cifar10"], digests=ours)
    main()

"""`python -m mnistbench` is the command `mnistbench`."""

import sys
from pathlib import Path

# Python puts the current folder first here: a `json.py` lying there would be run in place of its
# own. Where this package itself lies there, in a checkout that is not installed, it comes last.
_first = sys.path.pop(0) if not getattr(sys.flags, "safe_path", False) else None
if _first and Path(_first).resolve() == Path(__file__).resolve().parents[1]:
    sys.path.append(_first)

from mnistbench.cli import main  # noqa: E402

if __name__ == "__main__":
    main()

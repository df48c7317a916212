"""The programs that `benchmarks/peers.py` sets side by side, and how each is run."""

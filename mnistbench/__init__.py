"""mnistbench: how fast a machine trains a small neural network, measured honestly."""

__version__ = "0.1.0"

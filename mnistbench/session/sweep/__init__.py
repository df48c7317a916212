"""Sweeps: many points of one config, planned at once, measured round by round, resumable."""

"""Fixtures of the engine's tests; see `rig`."""

from .rig import clock, engine, other, store

__all__ = ["clock", "engine", "other", "store"]

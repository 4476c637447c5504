"""The engine's fixtures, in this folder too; see `orchestrator.rig`."""

from orchestrator.rig import clock, engine, other, store

__all__ = ["clock", "engine", "other", "store"]

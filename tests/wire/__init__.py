"""A local HTTP server that speaks the wire formats of OpenAI and Anthropic, with their errors."""

from .server import Received, WireServer

__all__ = ["Received", "WireServer"]

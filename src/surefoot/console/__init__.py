"""The console: pages for the people who approve, look and decide. `mount` adds them to the application."""

from .mount import mount

__all__ = ["mount"]

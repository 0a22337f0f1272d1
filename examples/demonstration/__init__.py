"""Relays, transceivers, a page and a call on one machine; see `main`."""

from examples.demonstration.main import main

__all__ = ["main"]

"""Relays, transceivers, a page and a call on one machine; see `main`."""

"""Faults in a fleet of separate hosts, with real calls across them: `python -m tests.faults`."""

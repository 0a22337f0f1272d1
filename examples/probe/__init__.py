"""A client that measures a call. `place_call` makes one inside another program."""

from examples.probe.call import CallFailed, CallRefused, place_call
from examples.probe.report import Report

__all__ = ["CallFailed", "CallRefused", "Report", "place_call"]

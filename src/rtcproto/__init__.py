"""A pure-Python, Sans-IO WebRTC protocol library for voice servers."""

__version__ = "0.1.0.dev0"

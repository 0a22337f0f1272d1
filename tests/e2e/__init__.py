"""Headless browsers call the real programs, over a real (local) network.

Everything that a browser sends must come back: the page in `page/` plays a signal that
never repeats itself, records what returns, and `analysis` finds the one in the other.
The browsers run in a network namespace of their own (`network`), from which nothing of
a server can be reached but what the server has bound to the one shared link.
"""

"""Finding the owner of a call: the token in the ufrag, the directory, flows, proxy headers.

What a relay and the transceivers behind it share. Nothing here terminates a
protocol or holds a session key; the relay's core composes these parts.
"""

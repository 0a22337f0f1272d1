"""The decorator for values that are built once per packet.

A frozen attrs class costs about three times a plain slotted one to build, and
per-packet values are built at every packet. So the type checker and the reader
see a frozen class (assignment is an error), the interpreter gets a slotted one.
Configurations and events that are not built per packet use `attrs.frozen`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

__all__ = ["wire"]

if TYPE_CHECKING:
    from attrs import frozen as wire
else:
    import attrs

    wire = functools.partial(attrs.define, slots=True)

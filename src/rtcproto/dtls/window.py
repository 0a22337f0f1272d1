"""The anti-replay window of DTLS records: RFC 6347 section 4.1.2.6.

```text
   sequence   top-5  top-4  top-3  top-2  top-1  top
   missing      0      1      0      0      1     0      -> bits 4 and 1 are set
```

Called by `protection` before the tag is verified (`accepts`) and after (`commit`):
"The receive window is updated only if the MAC verification succeeds." What is
kept is the set of numbers that are *missing* behind the highest one, so records
in order leave it at zero. State is two integers.
"""

from __future__ import annotations

__all__ = ["SIZE", "ReplayWindow"]

# RFC 6347 asks for at least 32 and prefers 64. At 10,000 records a second, 1024
# is a tenth of a second of reordering; a full set takes 160 bytes.
SIZE = 1024

_MASK = (1 << SIZE) - 1


class ReplayWindow:
    """Which of the last `SIZE` sequence numbers up to `top` have been accepted."""

    __slots__ = ("missing", "top")

    def __init__(self, top: int = -1, missing: int = 0) -> None:
        """Empty by default; `missing` has bit i set if `top` - i has not been accepted."""
        self.top = top
        self.missing = missing

    def accepts(self, sequence: int) -> bool:
        """True if this number would be new and within the window."""
        behind = self.top - sequence
        # A shift by more than the window gives zero: too old is as good as seen.
        return behind < 0 or bool(self.missing >> behind & 1)

    def commit(self, sequence: int) -> None:
        """Record a number that `accepts` allowed, once its tag is known to be right."""
        ahead = sequence - self.top
        if ahead <= 0:
            self.missing &= ~(1 << -ahead)
            return
        self.top = sequence
        if ahead >= SIZE:
            # Everything behind the new top is missing, as far as the window goes.
            self.missing = _MASK - 1
        elif ahead > 1 or self.missing:
            self.missing = (self.missing << ahead | (1 << ahead) - 2) & _MASK

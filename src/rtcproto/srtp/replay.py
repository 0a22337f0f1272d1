"""The replay window: RFC 3711 section 3.3.2, over unwrapped indices.

One object per SSRC and direction of RTP or RTCP, called by the receiving context
before the tag is checked (`accepts`) and after (`commit`).

Theory of operation: instead of a bit mask that shifts with every packet, the
window keeps the *set of indices that are missing* behind the highest one. A
packet in order never touches the set. Indices below the first one ever received
were not received either; `first` stands for them, so that the set need not be
filled in advance. What has left the window is refused before the set is asked,
so stale members do no harm; they are swept when the set outgrows the window.
"""

from __future__ import annotations

__all__ = ["ReplayWindow"]


class ReplayWindow:
    """Which of the last `size` indices up to `top` have been accepted.

    Starts with `index` accepted. `missing` never holds more than `size` members.
    """

    __slots__ = ("first", "missing", "size", "top")

    def __init__(self, index: int, size: int) -> None:
        self.size = size
        self.top = index
        # The lowest index accepted; everything below is still open.
        self.first = index
        self.missing: set[int] = set()

    def accepts(self, index: int) -> bool:
        """True if a packet with this index would be new and within the window."""
        if index > self.top:
            return True
        if index <= self.top - self.size or index < 0:
            return False
        return index < self.first or index in self.missing

    def commit(self, index: int) -> None:
        """Record an index that `accepts` allowed and whose tag was right."""
        if index > self.top:
            # Only what stays within the window is worth remembering as missing.
            floor = index - self.size + 1
            self.missing.update(range(max(self.top + 1, floor), index))
            self.top = index
            if len(self.missing) > self.size:
                self.missing = {other for other in self.missing if other >= floor}
        elif index < self.first:
            self.missing.update(range(index + 1, self.first))
            self.first = index
        else:
            self.missing.discard(index)

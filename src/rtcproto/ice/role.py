"""Controlling or controlled, and who yields when both think the same: RFC 8445 7.3.1.1, 7.2.5.1."""

from __future__ import annotations

from collections.abc import Callable

from rtcproto.ice.binding import CheckRequest

__all__ = ["Role"]


class Role:
    """The role of one agent and its tiebreaker. Both methods say whether the role changed."""

    __slots__ = ("_entropy", "controlling", "tie_breaker")

    def __init__(self, controlling: bool, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self.controlling = controlling
        self.tie_breaker = int.from_bytes(entropy(8), "big")

    def conflicts(self, request: CheckRequest) -> bool:
        """Whether the peer claims our role and has to give it up: answer 487."""
        if self.controlling:
            theirs = request.controlling
            return theirs is not None and self.tie_breaker >= theirs
        theirs = request.controlled
        return theirs is not None and self.tie_breaker < theirs

    def yields_to(self, request: CheckRequest) -> bool:
        """Take the other role if the peer claims ours and does not have to give it up."""
        claimed = request.controlling if self.controlling else request.controlled
        if claimed is None or self.conflicts(request):
            return False
        self.controlling = not self.controlling
        return True

    def refused(self, sent_as_controlling: bool) -> bool:
        """Our request in that role was answered 487.

        Several answers to requests of one role switch it once.
        """
        if sent_as_controlling is not self.controlling:
            return False
        self.controlling = not self.controlling
        # 7.2.5.1: "The agent MUST change the tiebreaker value."
        self.tie_breaker = int.from_bytes(self._entropy(8), "big")
        return True

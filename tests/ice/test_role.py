"""Role conflicts: RFC 8445 sections 7.3.1.1 and 7.2.5.1."""

import pytest

from rtcproto.ice.binding import CheckRequest
from rtcproto.ice.role import Role
from tests.support.ice import counting_entropy


def request(*, controlling: int | None = None, controlled: int | None = None) -> CheckRequest:
    """A check that claims a role with a tiebreaker."""
    return CheckRequest(1, controlling, controlled, False, ())


# Our tiebreaker is 2. The table of 7.3.1.1: our role, what the peer claims, its
# tiebreaker; whether it is refused, and whether we switch.
@pytest.mark.parametrize(
    ("ours", "theirs", "tie_breaker", "refused", "switched"),
    [
        (True, True, 1, True, False),
        (True, True, 2, True, False),
        (True, True, 3, False, True),
        (False, False, 1, False, True),
        (False, False, 2, False, True),
        (False, False, 3, True, False),
        (True, False, 3, False, False),
        (False, True, 3, False, False),
    ],
)
def test_conflict(
    ours: bool, theirs: bool, tie_breaker: int, refused: bool, switched: bool
) -> None:
    """The larger tiebreaker becomes controlling; equal ones favour whoever noticed."""
    role = Role(ours, counting_entropy())
    assert role.tie_breaker == 2
    claim = request(controlling=tie_breaker) if theirs else request(controlled=tie_breaker)
    assert role.conflicts(claim) is refused
    assert role.yields_to(claim) is switched
    assert role.controlling is (ours is not switched)


def test_no_claim_is_no_conflict() -> None:
    """A request without either attribute changes nothing."""
    role = Role(True, counting_entropy())
    assert not role.conflicts(request())
    assert not role.yields_to(request())


def test_refused_by_the_peer() -> None:
    """7.2.5.1: a 487 switches the role and draws a new tiebreaker, once per role."""
    role = Role(True, counting_entropy())
    before = role.tie_breaker
    assert role.refused(True)
    assert not role.controlling
    assert role.tie_breaker != before
    assert not role.refused(True)
    assert not role.controlling

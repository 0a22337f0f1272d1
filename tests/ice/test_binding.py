"""Checks on the wire: RFC 8445 sections 7.1 to 7.3."""

import pytest

from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.ice.binding import Binding
from rtcproto.ice.contract import Credentials
from rtcproto.stun import Attribute, Class, ErrorCode, Message, Method, ShortTermKey, build
from tests.support.ice import OURS, REMOTE, THEIRS, Peer

ID = b"transaction1"


def both() -> tuple[Binding, Binding]:
    """The two ends of one session."""
    ours, theirs = Binding(OURS), Binding(THEIRS)
    ours.set_remote(THEIRS)
    theirs.set_remote(OURS)
    return ours, theirs


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("nominate", [True, False])
def test_request(controlling: bool, nominate: bool) -> None:
    """7.1: PRIORITY, the role's attribute with the tiebreaker, USE-CANDIDATE if nominating."""
    ours, theirs = both()
    data = ours.request(ID, priority=5, controlling=controlling, tie_breaker=9, nominate=nominate)
    message = Message.parse(data)
    assert message.get(Attribute.USERNAME) == f"{THEIRS.ufrag}:{OURS.ufrag}"
    assert message.attributes[-1][0] == Attribute.FINGERPRINT
    request = theirs.read_request(message)
    assert (request.priority, request.use_candidate, request.unknown) == (5, nominate, ())
    claimed = (request.controlling, request.controlled)
    assert claimed == ((9, None) if controlling else (None, 9))


def test_role_change_changes_requests() -> None:
    """After `forget_role` requests carry the new role; before, they are built from a template."""
    ours, theirs = both()
    ours.request(ID, priority=5, controlling=True, tie_breaker=9, nominate=False)
    ours.forget_role()
    data = ours.request(ID, priority=5, controlling=False, tie_breaker=8, nominate=False)
    assert theirs.read_request(Message.parse(data)).controlled == 8


@pytest.mark.parametrize(
    "username", [f"{OURS.ufrag}:else", f"x{OURS.ufrag}:them", OURS.ufrag, ":", "them:ours"]
)
def test_username(username: str) -> None:
    """7.2.2: ours, a colon, the peer's; anything else is not for this session."""
    ours, _ = both()
    with pytest.raises(AuthenticationError):
        ours.read_request(Message.parse(Peer().request(username=username)))


def test_username_before_the_description() -> None:
    """Until the peer's ufrag is known any second half will do; the MAC is checked all the same."""
    ours = Binding(OURS)
    assert ours.remote is None
    ours.read_request(Message.parse(Peer().request(username=f"{OURS.ufrag}:any")))
    with pytest.raises(AuthenticationError):
        ours.read_request(Message.parse(Peer().request(password="wrong")))


def test_malformed_attribute() -> None:
    """An authentic request with an impossible value is a parse error."""
    ours, _ = both()
    with pytest.raises(ParseError):
        ours.read_request(Message.parse(Peer().request((Attribute.ICE_CONTROLLING, b"1"))))


def test_responses() -> None:
    """Success and error come back as the mapped address and the code."""
    ours, theirs = both()
    success = Message.parse(theirs.success(ID, REMOTE))
    assert ours.read_response(success) == REMOTE
    error = Message.parse(theirs.error(ID, 420, "Unknown Attribute", (0x7777,)))
    assert ours.read_response(error) == 420
    assert error.get(Attribute.UNKNOWN_ATTRIBUTES) == (0x7777,)


def test_responses_refused() -> None:
    """A response under another password, or one that lacks its content, raises."""
    ours, _ = both()
    stranger = Binding(Credentials("them", "another-password-22-chars"))
    with pytest.raises(AuthenticationError):
        ours.read_response(Message.parse(stranger.success(ID, REMOTE)))
    with pytest.raises(AuthenticationError):
        Binding(OURS).read_response(Message.parse(stranger.success(ID, REMOTE)))
    key = ShortTermKey(THEIRS.pwd)
    empty = [
        build(Method.BINDING, cls, ID, attributes, key)
        for cls, attributes in (
            (Class.SUCCESS, []),
            (Class.ERROR, []),
            (Class.SUCCESS, [(Attribute.XOR_MAPPED_ADDRESS, REMOTE), (0x7777, b"")]),
        )
    ]
    for data in empty:
        with pytest.raises(ParseError):
            ours.read_response(Message.parse(data))
    error = build(Method.BINDING, Class.ERROR, ID, [(Attribute.ERROR_CODE, ErrorCode(487))], key)
    assert ours.read_response(Message.parse(error)) == 487

"""What connectivity checks look like on the wire: RFC 8445 sections 7.1 to 7.3.

Binding requests and responses under the two pairs of credentials of a session.
The agent decides what to send and what an authentic message means; this module
knows how one is written, and which one is authentic. It refuses requests for
another ufrag and everything without a valid MESSAGE-INTEGRITY, by raising.
"""

from __future__ import annotations

from rtcproto._attrs import wire
from rtcproto.datagram import Address
from rtcproto.errors import AuthenticationError, ParseError
from rtcproto.ice.contract import Credentials
from rtcproto.stun import (
    Attribute,
    AttributeValue,
    Class,
    ErrorCode,
    Message,
    Method,
    RequestTemplate,
    ShortTermKey,
    SuccessTemplate,
    build,
)

__all__ = ["Binding", "CheckRequest"]


@wire
class CheckRequest:
    """The ICE attributes of an authentic request. A tiebreaker is None if not there."""

    priority: int | None
    controlling: int | None
    controlled: int | None
    use_candidate: bool
    unknown: tuple[int, ...]


class Binding:
    """Builds and authenticates the messages of one session."""

    __slots__ = ("_local", "_local_key", "_remote", "_remote_key", "_success", "_templates")

    def __init__(self, local: Credentials) -> None:
        self._local = local
        self._local_key = ShortTermKey(local.pwd)
        self._success = SuccessTemplate(self._local_key)
        self._remote: Credentials | None = None
        self._remote_key: ShortTermKey | None = None
        # Requests of one agent differ by these alone, and in the transaction id:
        # at most one entry per local candidate, twice.
        self._templates: dict[tuple[int, bool], RequestTemplate] = {}

    @property
    def remote(self) -> Credentials | None:
        """The peer's credentials, once known: before that there are no requests of ours."""
        return self._remote

    def set_remote(self, credentials: Credentials) -> None:
        """Take the peer's credentials."""
        self._remote = credentials
        self._remote_key = ShortTermKey(credentials.pwd)

    def forget_role(self) -> None:
        """Role or tiebreaker changed: the requests will look different."""
        self._templates.clear()

    def request(
        self,
        transaction_id: bytes,
        *,
        priority: int,
        controlling: bool,
        tie_breaker: int,
        nominate: bool,
    ) -> bytes:
        """A check; `priority` is what a peer-reflexive candidate of ours would have, 7.1.1."""
        template = self._templates.get((priority, nominate))
        if template is None:
            assert self._remote is not None, "no request leaves before the peer is known"
            assert self._remote_key is not None, "key and credentials come together"
            role = Attribute.ICE_CONTROLLING if controlling else Attribute.ICE_CONTROLLED
            attributes: list[tuple[int, AttributeValue]] = [
                (Attribute.PRIORITY, priority),
                (role, tie_breaker),
            ]
            if nominate:
                attributes.append((Attribute.USE_CANDIDATE, b""))
            username = f"{self._remote.ufrag}:{self._local.ufrag}"
            template = RequestTemplate(username, self._remote_key, attributes)
            self._templates[priority, nominate] = template
        return template.build(transaction_id)

    def success(self, transaction_id: bytes, mapped: Address) -> bytes:
        """The answer to a request that came from `mapped`."""
        return self._success.build(transaction_id, mapped)

    def error(
        self, transaction_id: bytes, code: int, reason: str, unknown: tuple[int, ...] = ()
    ) -> bytes:
        """An error answer, with UNKNOWN-ATTRIBUTES where there are any."""
        attributes: list[tuple[int, AttributeValue]] = [
            (Attribute.ERROR_CODE, ErrorCode(code, reason))
        ]
        if unknown:
            attributes.append((Attribute.UNKNOWN_ATTRIBUTES, unknown))
        return build(Method.BINDING, Class.ERROR, transaction_id, attributes, self._local_key)

    def read_request(self, message: Message) -> CheckRequest:
        """The content of a request of our peer's; `ParseError`, `AuthenticationError`."""
        username = message.value(Attribute.USERNAME)
        ours = self._local.ufrag.encode() + b":"
        if username is None or not username.startswith(ours):
            raise AuthenticationError("USERNAME is not for this session")
        # RFC 8445 section 7.2.2: ours, a colon, the peer's. Until its description
        # has come the second half may be anything.
        if self._remote is not None and username[len(ours) :] != self._remote.ufrag.encode():
            raise AuthenticationError("USERNAME is not of this session's peer")
        self._local_key.verify(message)
        return CheckRequest(
            message.get(Attribute.PRIORITY),
            message.get(Attribute.ICE_CONTROLLING),
            message.get(Attribute.ICE_CONTROLLED),
            message.value(Attribute.USE_CANDIDATE) is not None,
            message.unknown_required,
        )

    def read_response(self, message: Message) -> Address | int:
        """The mapped address of a success, or the code of an error; raises like `read_request`."""
        if self._remote_key is None:
            raise AuthenticationError("nothing was asked yet")
        self._remote_key.verify(message)
        if message.cls == Class.SUCCESS:
            mapped = message.get(Attribute.XOR_MAPPED_ADDRESS)
            # RFC 8489 section 6.3.3: unknown required attributes void a success.
            if mapped is None or message.unknown_required:
                raise ParseError("ice", "a success response without its mapped address")
            return mapped
        error = message.get(Attribute.ERROR_CODE)
        if error is None:
            raise ParseError("ice", "an error response without its code")
        return error.code

"""A full ICE peer reduced to its messages: what a browser would send to a lite agent.

Builds checks and answers as bytes and counts transaction ids up, so that a
scenario is a list of calls. It keeps no state of paths: the test says what is
sent from where.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcproto.datagram import Address, Datagram
from rtcproto.ice.contract import Credentials, IceConfig
from rtcproto.ice.lite import IceLite
from rtcproto.stun import (
    Attribute,
    AttributeValue,
    Class,
    Message,
    Method,
    ShortTermKey,
    build,
)

__all__ = ["CLIENT", "SERVER", "Peer", "counting_entropy", "lite"]

SERVER = Credentials("aServerUfragOf23Letters", "serverPasswordOf24Chars+")
CLIENT = Credentials("cLnT", "clientPasswordOf24Chars+")


class counting_entropy:  # noqa: N801 - used like a function
    """Entropy that counts: every draw differs from every other, and runs repeat."""

    def __init__(self, start: int = 0) -> None:
        self._count = start

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(size, "big")


def lite(config: IceConfig | None = None, *, remote: bool = True, now: float = 0.0) -> IceLite:
    """A lite agent with `SERVER`'s credentials that knows `CLIENT`'s, if `remote`."""
    machine = IceLite(config or IceConfig(), SERVER, counting_entropy(), now)
    if remote:
        machine.set_remote(CLIENT, [], now)
    return machine


class Peer:
    """The other side of a lite agent."""

    def __init__(self, local: Credentials = CLIENT, remote: Credentials = SERVER) -> None:
        self.local = local
        self.remote = remote
        self._local_key = ShortTermKey(local.pwd)
        self._remote_key = ShortTermKey(remote.pwd)
        self._transactions = counting_entropy(1 << 40)

    def check(
        self,
        *,
        nominate: bool = False,
        extra: Sequence[tuple[int, AttributeValue]] = (),
        username: str | None = None,
        transaction_id: bytes | None = None,
        key: ShortTermKey | None = None,
    ) -> bytes:
        """A connectivity check under the credentials of this pair, with a new transaction id."""
        attributes: list[tuple[int, AttributeValue]] = [
            (Attribute.USERNAME, username or f"{self.remote.ufrag}:{self.local.ufrag}"),
            (0xC057, b"\0\1\0\x0a"),
            (Attribute.ICE_CONTROLLING, 0x1122334455667788),
            (Attribute.PRIORITY, 1853824767),
            *extra,
        ]
        if nominate:
            attributes.append((Attribute.USE_CANDIDATE, True))
        return build(
            Method.BINDING,
            Class.REQUEST,
            transaction_id or self._transactions(12),
            attributes,
            key or self._remote_key,
        )

    def answer(self, request: bytes, mapped: Address = ("198.51.100.1", 3478)) -> bytes:
        """The success response to one of the agent's own requests, which is verified first."""
        message = Message.parse(request)
        self._local_key.verify(message)
        return build(
            Method.BINDING,
            Class.SUCCESS,
            message.transaction_id,
            [(Attribute.XOR_MAPPED_ADDRESS, mapped)],
            self._local_key,
        )

    def verify(self, response: bytes) -> Message:
        """The agent's answer to a check, verified."""
        message = Message.parse(response)
        self._remote_key.verify(message)
        return message

    def exchange(
        self,
        machine: IceLite,
        source: Address,
        now: float,
        local: Address | None = None,
        *,
        nominate: bool = False,
        answer: bool = True,
    ) -> list[Datagram]:
        """Send a check, answer what is asked in return; what the agent sent is returned."""
        assert machine.receive_datagram(self.check(nominate=nominate), source, now, local)
        sent = machine.datagrams_to_send()
        if answer:
            for datagram in sent:
                if Message.parse(datagram.data).cls == Class.REQUEST:
                    reply = self.answer(datagram.data)
                    machine.receive_datagram(reply, datagram.destination, now, datagram.source)
        return sent

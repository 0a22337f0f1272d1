"""ICE agents on the virtual network, and the messages of a peer played by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from rtcproto.datagram import Address, Datagram
from rtcproto.ice import Candidate, Credentials, IceAgent, IceConfig, host_candidate
from rtcproto.stun import (
    Attribute,
    AttributeValue,
    Class,
    Message,
    Method,
    ShortTermKey,
    build,
)

__all__ = ["LOCAL", "OURS", "REMOTE", "THEIRS", "Peer", "counting_entropy", "make_agent"]

# Credentials of the agent under test and of its peer, and where both are.
OURS = Credentials("ours", "our-password-is-22-chars")
THEIRS = Credentials("them", "their-password-22-chars!")
LOCAL: Address = ("192.0.2.1", 5000)
REMOTE: Address = ("198.51.100.2", 6000)


def counting_entropy(start: int = 1) -> Callable[[int], bytes]:
    """Bytes that never repeat: a counter."""
    counter = start

    def entropy(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return counter.to_bytes(size, "big")

    return entropy


def make_agent(
    now: float,
    *,
    controlling: bool = True,
    remotes: Sequence[Candidate] | None = None,
    config: IceConfig | None = None,
    locals_: Sequence[Address] = (LOCAL,),
    entropy: Callable[[int], bytes] | None = None,
) -> IceAgent:
    """An agent at `LOCAL` that has been told of `THEIRS` at `REMOTE`."""
    agent = IceAgent(config or IceConfig(), OURS, controlling, entropy or counting_entropy(), now)
    for address in locals_:
        agent.add_local_candidate(host_candidate(address), now)
    agent.set_remote(THEIRS, [host_candidate(REMOTE)] if remotes is None else remotes, now)
    return agent


@attrs.define
class Peer:
    """The other side, by hand: makes requests and answers the agent's own."""

    number: int = 0
    credentials: Credentials = THEIRS

    def request(
        self,
        *extra: tuple[int, AttributeValue],
        transaction_id: bytes | None = None,
        controlling: bool = False,
        tie_breaker: int = 0,
        username: str | None = None,
        password: str = OURS.pwd,
        priority: int | None = 1,
    ) -> bytes:
        """A check of the peer's; lowest tiebreaker unless told otherwise."""
        self.number += 1
        role = Attribute.ICE_CONTROLLING if controlling else Attribute.ICE_CONTROLLED
        attributes: list[tuple[int, AttributeValue]] = [
            (Attribute.USERNAME, username or f"{OURS.ufrag}:{self.credentials.ufrag}"),
            (role, tie_breaker),
        ]
        if priority is not None:
            attributes.append((Attribute.PRIORITY, priority))
        return build(
            Method.BINDING,
            Class.REQUEST,
            transaction_id or b"peer" + self.number.to_bytes(8, "big"),
            [*attributes, *extra],
            ShortTermKey(password),
        )

    def answer(
        self,
        request: Datagram,
        *extra: tuple[int, AttributeValue],
        cls: Class = Class.SUCCESS,
        mapped: Address = LOCAL,
        password: str | None = None,
    ) -> bytes:
        """The answer to a check of the agent's."""
        attributes: list[tuple[int, AttributeValue]] = [*extra]
        if cls is Class.SUCCESS:
            attributes.append((Attribute.XOR_MAPPED_ADDRESS, mapped))
        return build(
            Method.BINDING,
            cls,
            Message.parse(request.data).transaction_id,
            attributes,
            ShortTermKey(password or self.credentials.pwd),
        )

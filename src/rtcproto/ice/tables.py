"""The candidates an agent knows, its own and the peer's, each table with its limit.

Addresses, names and limits only: which candidates become pairs is the
checklist's business, and when they are checked the agent's.
"""

from __future__ import annotations

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.ice.candidate import (
    Candidate,
    CandidateType,
    candidate_address,
    compute_foundation,
    compute_priority,
)

__all__ = ["MAX_LOCAL_CANDIDATES", "LocalCandidates", "RemoteCandidates"]

# A server has one or two addresses, a desktop a handful. Reflexive ones come
# from answers, of which the peer chooses the content: no more of those either.
MAX_LOCAL_CANDIDATES = 16


class LocalCandidates:
    """Our host candidates by base, RFC 8445 section 5.1.1, and the reflexive ones learned.

    A base also has a name: what the shell passes as `local` with datagrams that
    come in there, which for the only socket of a process is often None. Paths
    and datagrams to send carry that name.
    """

    __slots__ = ("_hosts", "_names", "_reflexive")

    def __init__(self) -> None:
        self._hosts: dict[Address | None, Candidate] = {}
        self._names: dict[Address | None, Address | None] = {}
        self._reflexive: dict[Address, Candidate] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def hosts(self) -> list[tuple[Address | None, Candidate]]:
        """Bases and their candidates."""
        return list(self._hosts.items())

    @property
    def all(self) -> tuple[Candidate, ...]:
        """Host candidates, then reflexive ones."""
        return (*self._hosts.values(), *self._reflexive.values())

    def add(self, candidate: Candidate) -> Address | None:
        """Add a host candidate; its base, or None if it is there already. `UsageError`."""
        base = candidate_address(candidate)
        if base is None or candidate.type is not CandidateType.HOST:
            raise UsageError("a local candidate is of type host and has an IP address")
        if candidate.transport != "udp" or candidate.component != 1:
            raise UsageError("a local candidate is UDP and of component 1")
        if base in self._hosts:
            return None
        if len(self._hosts) >= MAX_LOCAL_CANDIDATES:
            raise UsageError(f"more than {MAX_LOCAL_CANDIDATES} local candidates")
        self._hosts[base] = candidate
        self._names[base] = base
        return base

    def add_unknown(self) -> None:
        """Stand in for the candidates nobody named: one socket of unknown address, base None."""
        self._hosts[None] = Candidate(
            foundation=compute_foundation(CandidateType.HOST, ""),
            component=1,
            transport="udp",
            priority=compute_priority(CandidateType.HOST),
            host="unknown.invalid",
            port=0,
            type=CandidateType.HOST,
        )
        self._names[None] = None

    def base(self, local: Address | None) -> Address | None:
        """The base of a datagram that came in at `local`; `ParseError` if it is not ours."""
        if len(self._hosts) == 1:
            # A single socket is meant whatever it is called (wildcard address, 1:1 NAT).
            return next(iter(self._hosts))
        if local is None and self._hosts:
            return next(iter(self._hosts))
        if local not in self._hosts:
            raise ParseError("ice", "not one of our addresses")
        return local

    def rename(self, base: Address | None, local: Address | None) -> None:
        """From now on the shell's name of a base is `local`."""
        self._names[base] = local

    def name(self, base: Address | None) -> Address | None:
        """The shell's name of a base."""
        return self._names[base]

    def learn(self, mapped: Address, base: Address | None, priority: int) -> None:
        """Note how the peer sees a base: peer-reflexive if new, RFC 8445 section 7.2.5.3.1."""
        known = mapped in self._hosts or mapped in self._reflexive or base is None
        if known or len(self._reflexive) >= MAX_LOCAL_CANDIDATES:
            return
        assert base is not None, "checked above"
        self._reflexive[mapped] = Candidate(
            foundation=compute_foundation(CandidateType.PEER_REFLEXIVE, base[0]),
            component=1,
            transport="udp",
            priority=priority,
            host=mapped[0],
            port=mapped[1],
            type=CandidateType.PEER_REFLEXIVE,
            related=base,
        )


class RemoteCandidates:
    """The peer's candidates by address: signalled (first come, first kept) and learned."""

    __slots__ = ("_learned", "_limit", "_number", "_signalled")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._signalled: dict[Address, Candidate] = {}
        self._learned: dict[Address, Candidate] = {}
        self._number = 0

    @property
    def all(self) -> list[tuple[Address, Candidate]]:
        """Addresses and candidates, signalled ones first."""
        return [*self._signalled.items(), *self._learned.items()]

    def add(self, candidate: Candidate, ufrag: str | None) -> Address | None:
        """Keep a signalled candidate; None if it is dropped. `ufrag` is the peer's, if known."""
        if len(self._signalled) >= self._limit:
            return None
        if candidate.transport != "udp" or candidate.component != 1 or not candidate.port:
            return None
        # RFC 8838 section 10: a candidate of another generation names its ufrag.
        named = dict(candidate.extensions).get("ufrag")
        if ufrag is not None and named is not None and named != ufrag:
            return None
        address = candidate_address(candidate)
        if address is None or address in self._signalled:
            return None
        self._learned.pop(address, None)
        self._signalled[address] = candidate
        return address

    def learn(self, address: Address, priority: int) -> Candidate:
        """A peer-reflexive candidate, RFC 8445 section 7.3.1.3; the known one if there is one."""
        known = self._signalled.get(address) or self._learned.get(address)
        if known is not None:
            return known
        # "an arbitrary value, different from the foundations of all other remote
        # candidates": computed ones are numbers.
        self._number += 1
        candidate = Candidate(
            foundation=f"prflx{self._number}",
            component=1,
            transport="udp",
            priority=priority,
            host=address[0],
            port=address[1],
            type=CandidateType.PEER_REFLEXIVE,
        )
        self._learned[address] = candidate
        return candidate

    def make_room(self, address: Address, limit: int, spared: Address | None) -> list[Address]:
        """Forget learned candidates, oldest first, so that `address` is within `limit`.

        `spared` stays: it carries media. Returns what was forgotten.
        """
        if address in self._signalled or address in self._learned:
            return []
        excess = len(self._learned) + 1 - limit
        oldest = [address for address in self._learned if address != spared]
        forgotten = oldest[: max(excess, 0)]
        for address in forgotten:
            del self._learned[address]
        return forgotten

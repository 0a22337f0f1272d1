"""A directory that transceivers write themselves: records with a lease, in a shared store.

A transceiver registers its slot again and again; when it stops, the lease runs out and the entry
goes. This module reads such records and says what the directory is; it speaks to no store. One
record is a field and a value:

```text
field  cluster/owner                 0/7
value  host:port@epoch expires      10.0.0.7:9000@3 1800000015.250
```

`expires` is seconds on the store's clock, the only one that all share.

Two things are not left to who can write to the store. Where calls can be sent: an address must lie
in a configured network, and break no rule of `check_address`. And what was configured by hand:
a static entry is never replaced. The rest of a bad record is ignored and counted.

A store that is down changes nothing, because nobody calls `update` then. One that comes back
empty does not either, for a while: an entry goes when it has been missing, or its lease
over, for `grace` seconds in which the store was read. So transceivers can register again first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_address, ip_network

import attrs

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.routing.directory import (
    ANY_OWNER,
    Entry,
    Slot,
    StaticDirectory,
    check_address,
    parse_entry,
)

__all__ = [
    "GRACE",
    "LEASE",
    "MAX_LEASES",
    "MAX_PAUSE",
    "LeaseBook",
    "build_lease",
    "parse_lease",
]

# Seconds that a registration lasts; it is renewed three times as often.
LEASE = 15.0

# Seconds for which an entry stays that the store no longer has.
GRACE = 15.0

# Records of one store that are read; those beyond are ignored and counted.
MAX_LEASES = 16_384

# Seconds between two reads above which the time in between does not count as missing: nobody
# looked, so nobody knows.
MAX_PAUSE = 5.0


def build_lease(slot: Slot, entry: Entry, expires: float) -> tuple[str, str]:
    """Field and value of a record. UsageError for a whole cluster, which has no lease."""
    if entry.epoch is None:
        raise UsageError("a lease is for one owner")
    host, port = entry.address
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{slot[0]}/{slot[1]}", f"{where}@{entry.epoch} {expires:.3f}"


def parse_lease(field: str, value: str) -> tuple[Slot, Entry, float]:
    """What `build_lease` wrote; ParseError otherwise."""
    text, separator, expires = value.partition(" ")
    whole, _, fraction = expires.partition(".")
    digits = whole + fraction
    if not separator or not (digits.isascii() and digits.isdigit()) or len(expires) > 20:
        raise ParseError("lease", "expected host:port@epoch expires")
    slot, entry = parse_entry(f"{field}={text}")
    if slot[1] == ANY_OWNER:
        raise ParseError("lease", "a lease is for one owner")
    return slot, entry, float(expires)


@attrs.define(slots=True)
class _Lease:
    entry: Entry
    # Since when the store does not have it, in seconds of reading; None while it has.
    missing: float | None = None


class LeaseBook:
    """The directory as the store says, within what is configured. Times are the caller's seconds.

    `networks` are where transceivers can be; `static` entries are kept whatever the store says.
    """

    __slots__ = (
        "_allowed",
        "_directory",
        "_leases",
        "_networks",
        "_own",
        "_read_at",
        "_refused",
        "_static",
    )

    def __init__(
        self,
        networks: Iterable[str],
        *,
        static: Mapping[Slot, Entry] | None = None,
        allow: Iterable[str] = (),
        own: Collection[Address] = (),
    ) -> None:
        self._networks = [ip_network(network) for network in networks]
        self._allowed = tuple(allow)
        self._own = own
        self._leases: dict[Slot, _Lease] = {}
        self._read_at: float | None = None
        self._refused = 0
        self._static: Mapping[Slot, Entry] = {}
        self._directory = StaticDirectory({})
        self.set_static(static or {})

    @property
    def directory(self) -> StaticDirectory:
        """What is known now."""
        return self._directory

    @property
    def refused(self) -> int:
        """Records ignored so far, counted at every read."""
        return self._refused

    def set_static(self, static: Mapping[Slot, Entry]) -> StaticDirectory:
        """Other entries of our own; UsageError as `StaticDirectory`."""
        StaticDirectory(static, allow=self._allowed, own=self._own)
        self._static = dict(static)
        return self._rebuild()

    def update(
        self, records: Mapping[str, str], store_time: float, now: float
    ) -> StaticDirectory | None:
        """The store was read: the new directory, or None if it is as before."""
        pause = 0.0 if self._read_at is None else max(0.0, now - self._read_at)
        self._read_at = now
        passed = pause if pause <= MAX_PAUSE else 0.0
        found: set[Slot] = set()
        changed = False
        for number, (field, value) in enumerate(records.items()):
            if number >= MAX_LEASES:
                self._refused += len(records) - MAX_LEASES
                break
            try:
                slot, entry, expires = parse_lease(field, value)
                entry = self._vetted(entry)
            except (ParseError, UsageError):
                self._refused += 1
                continue
            if expires <= store_time:
                continue
            found.add(slot)
            known = self._leases.get(slot)
            if known is None or known.entry != entry:
                self._leases[slot] = _Lease(entry)
                changed = True
            else:
                known.missing = None
        for slot in [slot for slot in self._leases if slot not in found]:
            lease = self._leases[slot]
            lease.missing = 0.0 if lease.missing is None else lease.missing + passed
            if lease.missing >= GRACE:
                del self._leases[slot]
                changed = True
        return self._rebuild() if changed else None

    def _vetted(self, entry: Entry) -> Entry:
        address = check_address(
            entry.address, [ip_network(network) for network in self._allowed], self._own
        )
        ip = ip_address(address[0])
        if not any(ip in network for network in self._networks):
            raise UsageError("outside the networks of transceivers")
        return Entry(address, entry.epoch)

    def _rebuild(self) -> StaticDirectory:
        leased = {slot: lease.entry for slot, lease in self._leases.items()}
        self._directory = StaticDirectory(
            {**leased, **self._static}, allow=self._allowed, own=self._own
        )
        return self._directory

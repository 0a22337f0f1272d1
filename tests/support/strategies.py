"""Hypothesis strategies for what a network can deliver."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

__all__ = ["addresses", "datagrams", "junk", "mutated", "truncated"]

# First bytes of every protocol on the shared port, so that junk gets past demux.
FIRST_BYTES = [0, 1, 2, 3, 16, 20, 21, 22, 23, 25, 64, 80, 128, 129, 144, 175, 191, 192, 255]


def junk(max_size: int = 300) -> st.SearchStrategy[bytes]:
    """Random bytes, half of them behind a first byte that some protocol takes."""
    anything = st.binary(max_size=max_size)
    return anything | st.builds(
        lambda first, rest: bytes([first]) + rest, st.sampled_from(FIRST_BYTES), anything
    )


def truncated(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A sample cut short, or with bytes behind its end."""
    cut = st.sampled_from(samples).flatmap(
        lambda sample: st.integers(0, len(sample)).map(lambda end: sample[:end])
    )
    longer = st.builds(bytes.__add__, st.sampled_from(samples), st.binary(min_size=1, max_size=64))
    return cut | longer


@st.composite
def mutated(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """A sample with up to four bytes replaced: bit flips, extremes, anything."""
    data = bytearray(draw(st.sampled_from(samples)))
    if not data:
        return b""
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(data) - 1))
        data[position] = draw(
            st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])
            | st.integers(0, 255)
            | st.integers(0, 7).map(lambda bit, p=position: data[p] ^ (1 << bit))  # type: ignore[misc]
        )
    return bytes(data)


def datagrams(samples: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """Junk; with samples also the samples themselves, mutated and truncated ones."""
    if not samples:
        return junk()
    return st.one_of(junk(), st.sampled_from(samples), mutated(samples), truncated(samples))


def addresses() -> st.SearchStrategy[tuple[str, int]]:
    """A few documentation addresses (RFC 5737, RFC 3849), so that they repeat."""
    hosts = ["192.0.2.1", "192.0.2.7", "198.51.100.9", "2001:db8::5"]
    return st.tuples(st.sampled_from(hosts), st.sampled_from([1, 5000, 65535]))

"""Protected records: RFC 6347 section 4.1, RFC 5288, RFC 7905."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.dtls.protection import (
    MAX_PLAINTEXT,
    RecordKeys,
    RecordLayer,
    Suite,
    sequence_after,
    suite_of,
)
from rtcproto.dtls.record import Record, build_record, parse_records
from rtcproto.errors import AuthenticationError, ParseError, UsageError

NAMES = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
]
LAST = 2**48 - 1


def keys_of(suite: Suite, is_client: bool = True) -> RecordKeys:
    """Fixed keys; the two sides mirror each other."""
    client = (bytes(range(suite.key_size)), bytes(range(50, 50 + suite.iv_size)))
    server = (bytes(range(100, 100 + suite.key_size)), bytes(range(150, 150 + suite.iv_size)))
    write, read = (client, server) if is_client else (server, client)
    return RecordKeys(
        suite=suite, write_key=write[0], write_iv=write[1], read_key=read[0], read_iv=read[1]
    )


@pytest.fixture(params=NAMES, ids=["aes128", "aes256", "chacha20"])
def layers(request: pytest.FixtureRequest) -> tuple[RecordLayer, RecordLayer]:
    """A client's and a server's."""
    suite = suite_of(request.param)
    return RecordLayer(keys_of(suite), 1), RecordLayer(keys_of(suite, False), 1)


def one(raw: bytes) -> Record:
    """The record that is all of `raw`."""
    (record,) = parse_records(raw)
    return record


def test_suites() -> None:
    """Key sizes, IV sizes and hashes of RFC 5289 and RFC 7905; nothing else has a name."""
    sizes = [(s.key_size, s.iv_size, s.hash_name) for s in map(suite_of, NAMES)]
    assert sizes == [(16, 4, "sha256"), (32, 4, "sha384"), (32, 12, "sha256")]
    for name in ("ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", ""):
        with pytest.raises(KeyError):
            suite_of(name)


def test_aes_gcm_on_the_wire() -> None:
    """RFC 5288 section 3: IV and explicit nonce, which is epoch and sequence, RFC 5246 6.2.3.3."""
    keys = keys_of(suite_of(NAMES[0]))
    raw = RecordLayer(keys, 0x0102030405).seal(23, b"data")
    number = bytes.fromhex("0001000102030405")
    covered = number + b"\x17\xfe\xfd\x00\x04"
    sealed = AESGCM(keys.write_key).encrypt(keys.write_iv + number, b"data", covered)
    assert raw == b"\x17\xfe\xfd" + number + b"\x00\x1c" + number + sealed


def test_chacha20_on_the_wire() -> None:
    """RFC 7905 section 2: the padded sequence number XOR the IV, and nothing of it is sent."""
    keys = keys_of(suite_of(NAMES[2]))
    raw = RecordLayer(keys, 0x0102030405).seal(23, b"data")
    number = bytes.fromhex("0001000102030405")
    nonce = bytes(a ^ b for a, b in zip(keys.write_iv, bytes(4) + number, strict=True))
    covered = number + b"\x17\xfe\xfd\x00\x04"
    sealed = ChaCha20Poly1305(keys.write_key).encrypt(nonce, b"data", covered)
    assert raw == b"\x17\xfe\xfd" + number + b"\x00\x14" + sealed


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1200, MAX_PLAINTEXT])
def test_both_ways(layers: tuple[RecordLayer, RecordLayer], size: int) -> None:
    """What one seals the other opens, in either direction, on either way in."""
    data = bytes(n & 0xFF for n in range(size))
    for sender, receiver in (layers, layers[::-1]):
        assert receiver.open(one(sender.seal(23, data))) == data
        assert receiver.open_data(sender.seal(23, data)) == data
        alert = one(sender.seal(21, data))
        assert (alert.content_type, alert.epoch) == (21, 1)
        assert receiver.open(alert) == data


def test_any_explicit_nonce_is_opened() -> None:
    """A peer's explicit nonce is its own affair: OpenSSL's starts at random."""
    keys = keys_of(suite_of(NAMES[0]), is_client=False)
    receiver = RecordLayer(keys, 1)
    for sequence, nonce in ((7, b"\xff" * 8), (8, bytes(8))):
        number = (1 << 48 | sequence).to_bytes(8, "big")
        sealed = AESGCM(keys.read_key).encrypt(
            keys.read_iv + nonce, b"data", number + b"\x17\xfe\xfd\x00\x04"
        )
        record = one(build_record(23, 1, sequence, nonce + sealed))
        assert receiver.open(record) == b"data"


def test_a_record_is_opened_once(layers: tuple[RecordLayer, RecordLayer]) -> None:
    """Not again by `open`, nor by `open_data`; in any order of the two."""
    sender, receiver = layers
    first, second = sender.seal(23, b"first"), sender.seal(23, b"second")
    assert receiver.open_data(second) == b"second"
    assert receiver.open_data(first) is None  # behind: the other way's to judge
    assert receiver.open(one(first)) == b"first"
    for raw in (first, second):
        assert receiver.open_data(raw) is None
        with pytest.raises(AuthenticationError):
            receiver.open(one(raw))
        assert receiver.decrypt(one(raw)) in (b"first", b"second")


def test_every_bit_counts(layers: tuple[RecordLayer, RecordLayer]) -> None:
    """One flipped bit anywhere: not opened, and the window stays where it was."""
    sender, receiver = layers
    raw = sender.seal(23, b"payload")
    for position in range(8 * len(raw)):
        bad = bytearray(raw)
        bad[position // 8] ^= 1 << position % 8
        packet = bytes(bad)
        assert receiver.open_data(packet) is None
        try:
            record = one(packet)
        except ParseError:
            continue
        # The version and the epoch are not `open`'s to look at: constants are covered.
        if record.epoch == 1 and packet[1:3] == raw[1:3]:
            with pytest.raises(AuthenticationError):
                receiver.open(record)
    assert (receiver.window.top, receiver.window.missing) == (-1, 0)
    assert receiver.open_data(raw) == b"payload"


@given(st.binary(max_size=80), st.booleans())
def test_any_packet(data: bytes, framed: bool) -> None:
    """Bytes that we did not seal are refused by declared errors, and change nothing."""
    packet = build_record(23, 1, 5, data) if framed else data
    for name in NAMES:
        receiver = RecordLayer(keys_of(suite_of(name)), 1)
        assert receiver.open_data(packet) is None
        if framed:
            with pytest.raises(AuthenticationError):
                receiver.open(one(packet))
        assert receiver.window.top == -1


def test_too_much_plaintext(layers: tuple[RecordLayer, RecordLayer]) -> None:
    """RFC 5246 section 6.2.1: "The length MUST NOT exceed 2^14"; seen, but not delivered."""
    sender, receiver = layers
    raw = sender.seal(23, bytes(MAX_PLAINTEXT + 1))
    assert receiver.open_data(raw) is None
    with pytest.raises(ParseError):
        receiver.open(one(raw))
    with pytest.raises(AuthenticationError):
        receiver.open(one(raw))
    assert receiver.open(one(sender.seal(23, b"next"))) == b"next"


def test_the_last_sequence_number(layers: tuple[RecordLayer, RecordLayer]) -> None:
    """RFC 6347 section 4.1: numbers never wrap; the last one is used, and then no more."""
    sender = RecordLayer(layers[0].keys, LAST)
    receiver = layers[1]
    assert not sender.exhausted
    assert receiver.open_data(sender.seal(23, b"last")) == b"last"
    assert sender.exhausted
    for _ in range(2):
        with pytest.raises(UsageError):
            sender.seal(23, b"beyond")
    assert sender.next_sequence == LAST + 1


def test_a_nonce_serves_once(layers: tuple[RecordLayer, RecordLayer]) -> None:
    """Sequence numbers rise by one from the first, whatever the content type."""
    sender, _ = layers
    records = [one(sender.seal(kind, b"")) for kind in (23, 21, 23, 22)]
    assert [r.sequence for r in records] == [1, 2, 3, 4]


def protected(sequence: int, nonce: int) -> Record:
    """A record as OpenSSL seals them: an explicit nonce, ciphertext, a tag."""
    return one(build_record(22, 1, sequence, nonce.to_bytes(8, "big") + bytes(40)))


@pytest.mark.parametrize(
    ("sequence", "nonce", "after"),
    [
        (0, 0x72C0291645C5485F, 1),
        (3, 0, 4),
        (3, (1 << 48) - 1, 4),
        (3, 2 << 48, 4),
        # Those that one of ours could be.
        (0, 1 << 48, 1),
        (0, 1 << 48 | 77, 78),
        (100, 1 << 48 | 77, 101),
        (0, 1 << 48 | LAST, LAST + 1),
    ],
)
def test_beyond_what_openssl_sealed(sequence: int, nonce: int, after: int) -> None:
    """We begin behind its sequence number, and behind its nonce if that has our epoch on top."""
    assert sequence_after(protected(sequence, nonce)) == after


def test_no_room_behind_openssl() -> None:
    """Should its nonce be the last of ours (1 in 2^64), nothing is sealed at all."""
    sender = RecordLayer(keys_of(suite_of(NAMES[0])), sequence_after(protected(0, (2 << 48) - 1)))
    assert sender.exhausted
    with pytest.raises(UsageError):
        sender.seal(23, b"data")


def test_keys_are_not_printed() -> None:
    """Neither keys nor IVs are in the representation."""
    assert "key" not in repr(keys_of(suite_of(NAMES[0]))).replace("key_size", "")

"""Two DTLS associations and the network between them, on virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence

from OpenSSL import SSL

from rtcproto._wire import Writer
from rtcproto.dtls import (
    Dtls,
    DtlsConfig,
    DtlsEvent,
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    Identity,
    Role,
)

UNIX_TIME = 1_790_000_000.0


_identities: dict[str, Identity] = {}


def identity(name: str = "ours") -> Identity:
    """An identity per name, made once: a key costs more than a test should."""
    if name not in _identities:
        _identities[name] = Identity.generate(UNIX_TIME)
    return _identities[name]


def config(name: str = "ours", **changes: object) -> DtlsConfig:
    """A configuration with the identity `name`."""
    return DtlsConfig(identity=identity(name), **changes)  # type: ignore[arg-type]


def cipher_identity(cipher: str) -> Identity:
    """An identity whose contexts offer and accept only `cipher`, by OpenSSL's name."""
    name = f"only {cipher}"
    if name not in _identities:
        # A context cannot be changed once it is in use.
        for profiles in ((7, 8, 1), (7, 1)):
            identity(name).context(profiles).set_cipher_list(cipher.encode())
    return identity(name)


def cipher_pair(cipher: str) -> DtlsPair:
    """Two ends of which the server insists on `cipher`."""
    return DtlsPair(server_config=DtlsConfig(identity=cipher_identity(cipher)))


def permissive_context(name: str, cipher: str = "ECDHE") -> SSL.Context:
    """An OpenSSL context with default options for the identity `name`: renegotiation, tickets."""
    ours = identity(name)
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(ours._certificate)
    context.use_privatekey(ours._key)
    context.set_cipher_list(cipher.encode())
    context.set_options(SSL.OP_NO_QUERY_MTU)
    context.set_verify(SSL.VERIFY_PEER, lambda *_args: True)
    context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80")
    return context


# What a link does with one packet: the delays of its copies; none means lost.
Fate = Callable[[bytes], Sequence[float]]


def perfect(_packet: bytes) -> Sequence[float]:
    """Every packet arrives after 10 ms."""
    return (0.01,)


def lossy(
    seed: int, *, drop: float, duplicate: float = 0.1, reorder: float = 0.1, delay: float = 0.01
) -> Fate:
    """A seeded link that drops, duplicates and delays some packets."""
    generator = random.Random(seed)

    def fate(_packet: bytes) -> Sequence[float]:
        if generator.random() < drop:
            return ()
        copies = 2 if generator.random() < duplicate else 1
        return [
            delay + (generator.random() * 0.2 if generator.random() < reorder else 0.0)
            for _ in range(copies)
        ]

    return fate


class DtlsPair:
    """A client and a server with a link; `run` moves the clock from event to event."""

    def __init__(
        self,
        client_config: DtlsConfig | None = None,
        server_config: DtlsConfig | None = None,
        *,
        client_expects: Sequence[Fingerprint] | None = None,
        server_expects: Sequence[Fingerprint] | None = None,
        fate: Fate = perfect,
    ) -> None:
        client_config = client_config or config("client")
        server_config = server_config or config("server")
        if client_expects is None:
            client_expects = [server_config.identity.fingerprint]
        if server_expects is None:
            server_expects = [client_config.identity.fingerprint]
        self.now = 100.0
        self.client = Dtls(client_config, Role.CLIENT, client_expects, self.now)
        self.server = Dtls(server_config, Role.SERVER, server_expects, self.now)
        self.events: dict[Dtls, list[DtlsEvent]] = {self.client: [], self.server: []}
        self.sent: dict[Dtls, list[tuple[float, bytes]]] = {self.client: [], self.server: []}
        self._fate = fate
        self._order = itertools.count()
        self._flying: list[tuple[float, int, Dtls, bytes]] = []

    def start(self) -> None:
        """Start both ends."""
        self.client.start(self.now)
        self.server.start(self.now)
        self.collect()

    def collect(self) -> None:
        """Take what both ends want to send and say."""
        for end, other in ((self.client, self.server), (self.server, self.client)):
            for packet in end.packets_to_send():
                self.sent[end].append((self.now, packet))
                for delay in self._fate(packet):
                    heapq.heappush(
                        self._flying, (self.now + delay, next(self._order), other, packet)
                    )
            self.events[end] += end.next_events()

    def step(self, limit: float) -> bool:
        """Do what comes next, unless it comes after `limit`; False if there is nothing."""
        timers = [t for t in (self.client.get_timer(), self.server.get_timer()) if t is not None]
        due = min(timers, default=None)
        if self._flying and (due is None or self._flying[0][0] <= due):
            if self._flying[0][0] > limit:
                return False
            self.now, _, end, packet = heapq.heappop(self._flying)
            end.receive_packet(packet, self.now)
        elif due is not None and due <= limit:
            self.now = due
            for end in (self.client, self.server):
                end.handle_timer(self.now)
                timer = end.get_timer()
                assert timer is None or timer > self.now, "a timer that does not move on"
        else:
            return False
        self.collect()
        return True

    def run(self, seconds: float = 40.0) -> None:
        """Let `seconds` pass, or less if nothing more will happen."""
        limit = self.now + seconds
        while self.step(limit):
            pass
        self.now = limit

    def connect(self) -> None:
        """Start and run until both ends are connected."""
        self.start()
        limit = self.now + 40.0
        while not self.connected and self.step(limit):
            pass
        assert self.connected

    @property
    def connected(self) -> bool:
        """Both ends have keys."""
        return self.client.state is self.server.state is DtlsState.CONNECTED

    def completed(self, end: Dtls) -> HandshakeCompleted:
        """The completion event of `end`; there must be exactly one."""
        (event,) = [e for e in self.events[end] if isinstance(e, HandshakeCompleted)]
        return event


class OpenSslPeer:
    """A plain pyOpenSSL end that keeps what it would send; for interop and oddly shaped peers."""

    def __init__(self, context: SSL.Context, role: Role, mtu: int = 1200) -> None:
        self.connection = SSL.Connection(context)
        self.connection.set_ciphertext_mtu(mtu)
        if role is Role.CLIENT:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()
        self.complete = False

    def step(self, packet: bytes = b"") -> bytes:
        """Feed `packet`, go on with the handshake, and give what it writes (several records)."""
        if packet:
            self.connection.bio_write(packet)
        try:
            self.connection.do_handshake()
            self.complete = True
        except SSL.WantReadError:
            pass
        try:
            return self.connection.bio_read(65536)
        except SSL.WantReadError:
            return b""


# -- Hand-made handshake messages


def handshake_record(
    message_type: int, body: bytes, sequence: int = 0, *, record_sequence: int = 0
) -> bytes:
    """A plaintext record with one whole handshake message."""
    return fragment_record(message_type, body, sequence, 0, len(body), record_sequence)


def fragment_record(
    message_type: int, body: bytes, sequence: int, start: int, end: int, record_sequence: int = 0
) -> bytes:
    """A plaintext record with the fragment body[start:end] of a message."""
    piece = body[start:end]
    payload = (
        Writer()
        .uint(message_type, 1)
        .uint(len(body), 3)
        .uint(sequence, 2)
        .uint(start, 3)
        .vector(piece, 3)
    )
    return plain_record(22, bytes(payload), record_sequence)


def plain_record(content_type: int, payload: bytes, sequence: int = 0, epoch: int = 0) -> bytes:
    """A record as anyone can write it."""
    header = Writer().uint(content_type, 1).uint(0xFEFD, 2).uint(epoch, 2).uint(sequence, 6)
    return bytes(header.vector(payload, 2))


SUITES = (0xC02B, 0xC02F, 0xCCA9, 0xCCA8, 0xC02C, 0xC030)

# Hello extensions that make an ordinary DTLS-SRTP client.
EXTENSIONS: dict[int, bytes] = {
    23: b"",  # extended_master_secret
    0xFF01: b"\0",  # renegotiation_info
    10: bytes.fromhex("0006001d00170018"),  # supported_groups: x25519, P-256, P-384
    11: bytes.fromhex("0100"),  # ec_point_formats: uncompressed
    13: bytes.fromhex("000a04030804040105030806"),  # signature_algorithms
    14: bytes.fromhex("000600010008000700"),  # use_srtp: CM80, GCM256, GCM128
}


def client_hello(
    *,
    version: int = 0xFEFD,
    suites: Sequence[int] = SUITES,
    compressions: bytes = b"\0",
    extensions: dict[int, bytes] | None = None,
    random_bytes: bytes = bytes(range(32)),
) -> bytes:
    """The body of a ClientHello."""
    listed = Writer()
    for code, body in (EXTENSIONS if extensions is None else extensions).items():
        listed.uint(code, 2).vector(body, 2)
    return bytes(
        Writer()
        .uint(version, 2)
        .put(random_bytes)
        .vector(b"", 1)
        .vector(b"", 1)
        .vector(b"".join(suite.to_bytes(2, "big") for suite in suites), 2)
        .vector(compressions, 1)
        .vector(bytes(listed), 2)
    )


def post_quantum_hello(size: int = 1413) -> bytes:
    """A ClientHello as browsers send it: DTLS 1.3 first, an X25519MLKEM768 share, `size` bytes."""
    suites = (0x1301, 0x1302, 0x1303, *SUITES)
    share = Writer()
    # X25519MLKEM768 (4588): 1184 bytes of ML-KEM and 32 of X25519; then plain x25519.
    share.uint(4588, 2).vector(bytes(i & 0xFF for i in range(1216)), 2)
    share.uint(29, 2).vector(bytes(range(32)), 2)
    extensions = {
        43: bytes.fromhex("04fefcfefd"),
        **EXTENSIONS,
        10: bytes.fromhex("000811ec001d00170018"),
        51: bytes(Writer().vector(bytes(share), 2)),
        45: bytes.fromhex("0101"),
    }
    bare = len(client_hello(suites=suites, extensions={**extensions, 21: b""}))
    return client_hello(suites=suites, extensions={**extensions, 21: bytes(size - bare)})

"""One session on one blocking socket: the loop that every integration is made of.

    python examples/minimal.py 127.0.0.1 < offer.sdp > answer.sdp

echoes one caller's audio until the call ends. HOST is an IP address of this
computer that the caller can reach.
"""

import socket
import sys
import time

from rtcproto import AudioReceived, Identity, RtcError, Session, SessionConfig

clock = time.monotonic


def run(session: Session, sock: socket.socket) -> None:
    """Drive `session` on `sock` until it is over."""
    while True:
        while events := session.next_events():  # handlers may call verbs
            for event in events:
                if isinstance(event, AudioReceived):
                    session.send_audio(event.payload, clock(), timestamp=event.timestamp)
        for datagram in session.datagrams_to_send():
            sock.sendto(datagram.data, datagram.destination)
        if session.closed:
            return
        deadline = session.get_timer()  # None: only a packet can wake us
        sock.settimeout(None if deadline is None else max(0.0001, deadline - clock()))
        try:
            data, source = sock.recvfrom(2048)
        except TimeoutError:
            session.handle_timer(max(clock(), deadline or 0))  # clocks wake a hair early
        else:
            session.receive_datagram(data, source, clock())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/minimal.py HOST < offer.sdp > answer.sdp")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((sys.argv[1], 0))
        identity, here = Identity.generate(time.time()), sock.getsockname()
        session = Session(SessionConfig(identity=identity, addresses=(here,)), time.time(), clock())
        print(session.accept_offer(sys.stdin.read(), clock()), end="", flush=True)
    except (OSError, RtcError) as error:
        sys.exit(f"minimal: {error}")
    run(session, sock)

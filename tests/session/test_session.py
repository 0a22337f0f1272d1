"""The session as a whole: two of them over a virtual network."""

import re
from typing import Any

import pytest

from rtcproto import (
    AudioLost,
    AudioReceived,
    CloseReason,
    Connected,
    DescriptionRefused,
    ParseError,
    PathChanged,
    SessionClosed,
    SessionState,
    UsageError,
)
from rtcproto.sdp import Setup
from rtcproto.srtp import Profile
from rtcproto.testing import FIRST_ADDRESS, SECOND_ADDRESS, LinkConfig, Nat, SessionPair, World
from rtcproto.testing.presets import PRESETS

OPUS = b"\xf8" + bytes(60)


def pair(seed: int = 1, config: LinkConfig | None = None, **fields: Any) -> SessionPair:
    """A pair on a link of 20 ms."""
    return SessionPair(World(seed), config or LinkConfig(delay=0.02), **fields)


def closed(call: SessionPair, session: Any) -> SessionClosed:
    """The one closing event of `session`."""
    (event,) = call.events(session, SessionClosed)
    assert isinstance(event, SessionClosed)
    return event


class TestSetUp:
    """From descriptions to audio."""

    def test_takes_five_one_way_trips(self) -> None:
        """A check, its answer with the ClientHello, and a DTLS handshake: nothing waits."""
        call = pair()
        assert call.connect() == pytest.approx(5 * 0.02)

    @pytest.mark.parametrize("setup", [Setup.ACTIVE, Setup.PASSIVE])
    def test_both_dtls_roles(self, setup: Setup) -> None:
        """The answerer takes the configured role and audio flows in either."""
        call = pair(server={"setup": setup})
        call.connect()
        role = "client" if setup is Setup.ACTIVE else "server"
        assert call.server.stats(call.now).transport.dtls_role == role
        sent = call.talk(10)
        call.run_for(0.1)
        assert call.heard(call.server) == sent

    @pytest.mark.parametrize("profile", list(Profile))
    def test_every_srtp_profile(self, profile: Profile) -> None:
        """Audio is heard under each profile, and `Connected` names it."""
        call = pair(client={"srtp_profiles": (profile,)}, server={"srtp_profiles": tuple(Profile)})
        call.connect()
        sent = call.talk(5)
        call.run_for(0.1)
        assert call.heard(call.server) == sent
        (connected,) = call.events(call.server, Connected)
        assert connected.srtp_profile == profile.name

    def test_phases_are_timed_in_order(self) -> None:
        """First check, path, DTLS and first media are each stamped, in that order."""
        call = pair()
        call.connect()
        call.talk(1)
        call.run_for(0.1)
        phases = call.server.setup_phases
        stamps = [phases.first_check, phases.path, phases.dtls, phases.first_media]
        assert None not in stamps
        assert stamps == sorted(stamps, key=lambda stamp: stamp or 0.0)
        assert phases.first_check == pytest.approx(0.02)

    def test_checks_that_overtake_the_answer_count_as_first(self) -> None:
        """Phases stay in order when the answerer's check came before its answer.

        RFC 8445 section 7.3: a full agent checks as soon as it has the offer's candidates.
        """
        call = pair(server={"ice_lite": False})
        answer = call.server.accept_offer(call.client.create_offer(call.now), call.now)
        call.run_for(1.0)
        assert call.client.setup_phases.first_check is not None
        call.client.accept_answer(answer, call.now)
        assert call.client.setup_phases.first_check == 0.0
        assert call.client.timeout_reason == "the session must be connected"
        call.run_until(lambda: call.events(call.client, Connected))
        phases = call.client.setup_phases
        assert 0.0 < (phases.path or 0.0) <= (phases.dtls or 0.0)

    @pytest.mark.parametrize("name", sorted(PRESETS))
    def test_connects_and_talks_on_every_network(self, name: str) -> None:
        """Each published network profile ends in a call that carries most of its packets."""
        call = pair(7, PRESETS[name])
        call.connect()
        sent = call.talk(200)
        call.run_for(3)
        heard = call.heard(call.server)
        assert set(heard) <= set(sent)
        assert len(heard) >= 0.6 * len(sent)

    def test_early_media_waits_for_the_end_of_the_set_up(self) -> None:
        """Audio that overtakes the last flight is heard after `Connected`, not lost."""
        call = pair(server={"setup": Setup.PASSIVE})
        call.describe()
        call.run_until(lambda: call.events(call.client, Connected))
        first = call.talk(1)
        call.run_until(lambda: call.heard(call.server))
        kinds = [type(event) for _, event in call.second.events]
        assert kinds[0] is Connected
        assert call.heard(call.server) == first


class TestAudio:
    """What goes in comes out."""

    def test_fields_of_a_frame(self) -> None:
        """Payload, level, voice bit, marker and time line arrive as they were sent."""
        call = pair()
        call.connect()
        call.client.send_audio(OPUS, call.now, timestamp=96_000, level=17, voice=True)
        call.client.send_audio(OPUS, call.now, timestamp=96_960)
        call.client.send_audio(OPUS, call.now, timestamp=480_000, level=127)
        call.run_for(0.1)
        first, second, third = (
            event for _, event in call.second.events if not isinstance(event, Connected)
        )
        assert (first.payload, first.level, first.voice) == (OPUS, 17, True)
        assert (second.level, second.voice) == (None, None)
        assert (third.level, third.voice) == (127, False)
        assert [first.marker, second.marker, third.marker] == [True, False, True]
        assert second.timestamp - first.timestamp == 960
        assert third.timestamp - second.timestamp == 480_000 - 96_960
        assert second.sequence - first.sequence == 1
        assert first.arrival == pytest.approx(call.now - 0.08)

    def test_extensions_that_the_peer_only_sends_are_not_sent_to_it(self) -> None:
        """A level goes out only where the description lets it; the frame still goes."""
        call = pair()
        offer = call.client.create_offer(call.now)
        one_way = re.sub(r"(a=extmap:\d+)( urn:ietf:params:rtp-hdrext)", r"\1/sendonly\2", offer)
        assert one_way.count("/sendonly") == 2
        answer = call.server.accept_offer(one_way, call.now)
        call.client.accept_answer(answer.replace("/recvonly", ""), call.now)
        call.run_until(lambda: call.events(call.server, Connected))
        call.server.send_audio(OPUS, call.now, level=5)
        call.client.send_audio(OPUS, call.now, level=6)
        call.run_for(0.1)
        (to_client,) = call.events(call.client, AudioReceived)
        (to_server,) = call.events(call.server, AudioReceived)
        assert (to_client.level, to_server.level) == (None, 6)

    def test_default_timestamps_follow_the_packets(self) -> None:
        """Without a timestamp a packet starts where the one before it ended."""
        call = pair()
        call.connect()
        # 20 ms, 60 ms (configuration 3), 20 ms.
        for payload in (OPUS, bytes([3 << 3]) + bytes(20), OPUS):
            call.client.send_audio(payload, call.now)
        call.run_for(0.1)
        stamps = [event.timestamp for _, event in call.second.events[1:]]
        assert [stamps[1] - stamps[0], stamps[2] - stamps[1]] == [960, 2880]

    def test_loss_is_reported_once(self) -> None:
        """Packets that never come are one `AudioLost` with their numbers."""
        call = pair()
        call.connect()
        call.talk(3)
        call.run_for(0.1)
        newest = call.second.events[-1][1].sequence
        call.network.connect(FIRST_ADDRESS[0], SECOND_ADDRESS[0], LinkConfig(loss=1.0))
        call.talk(4)
        call.network.connect(FIRST_ADDRESS[0], SECOND_ADDRESS[0], LinkConfig(delay=0.02))
        call.talk(10)
        call.run_for(0.2)
        (lost,) = call.events(call.server, AudioLost)
        assert (lost.first_sequence, lost.count) == (newest + 1, 4)

    @pytest.mark.parametrize(
        ("payload", "fields"),
        [
            (b"", {}),
            (bytes(1151), {}),
            (OPUS, {"level": 128}),
            (OPUS, {"level": -1}),
        ],
    )
    def test_refuses_what_cannot_be_sent(self, payload: bytes, fields: dict[str, int]) -> None:
        """A wrong payload or level is the caller's error, at once, and sends nothing."""
        call = pair()
        call.connect()
        with pytest.raises(UsageError):
            call.client.send_audio(payload, call.now, **fields)
        assert call.client.datagrams_to_send() == []

    def test_largest_packet_fits_a_datagram(self) -> None:
        """The largest payload with every extension stays within the MTU (the host checks)."""
        call = pair()
        call.connect()
        call.client.send_audio(b"\xf8" + bytes(1149), call.now, level=1)
        call.run_for(0.1)
        assert len(call.heard(call.server)[0]) == 1150


class TestReports:
    """RTCP runs by itself."""

    def test_round_trip_loss_and_jitter_are_known(self) -> None:
        """After seconds of talk each side knows what the other heard of it."""
        call = pair(3, LinkConfig(delay=0.04, loss=0.1))
        call.connect()
        call.talk(400)
        call.run_for(2)
        remote = call.client.stats(call.now).remote_inbound_rtp
        inbound = call.server.stats(call.now).inbound_rtp[0]
        assert remote is not None
        assert remote.round_trip_time == pytest.approx(0.08, abs=0.001)
        assert remote.packets_lost > 0
        assert abs(remote.packets_lost - inbound.packets_lost) <= 3
        assert inbound.packets_received + inbound.packets_lost == pytest.approx(400, abs=2)

    def test_stats_speak_the_standard(self) -> None:
        """`as_dict` spells webrtc-stats' names."""
        call = pair()
        call.connect()
        call.talk(2)
        plain = call.client.stats(call.now).as_dict()
        assert plain["outboundRtp"]["packetsSent"] == 2
        assert plain["transport"]["dtlsState"] == "connected"
        assert plain["transport"]["currentRoundTripTime"] == pytest.approx(0.04)


class TestEnds:
    """A session ends by its owner, its peer, or expiry; each end has its reason."""

    def test_close_reaches_the_peer(self) -> None:
        """Farewells leave, both sides get their last event, and then there is silence."""
        call = pair()
        call.connect()
        call.client.close(call.now)
        call.run_for(1)
        assert closed(call, call.client).reason is CloseReason.LOCAL
        assert closed(call, call.server).reason is CloseReason.PEER
        assert call.server.get_timer() is None
        call.server.close(call.now)
        assert call.server.next_events() == []

    def test_a_fatal_alert_in_a_call_is_the_peers_error(self) -> None:
        """The handshake was over long ago; the reason says so."""
        call = pair()
        call.connect()
        dtls = call.client._planes.transport._dtls
        path = call.server._planes.transport.selected_path
        assert dtls is not None
        assert dtls._connected is not None
        assert path is not None
        alert = dtls._connected.layer.seal(21, b"\x02\x50")
        assert call.server.receive_datagram(alert, path[0], call.now, path[1])
        call.run_for(0.1)
        end = closed(call, call.server)
        assert end.reason is CloseReason.PEER_ERROR
        assert end.detail == "fatal alert 80 (internal error)"

    def test_audio_after_the_end_goes_nowhere(self) -> None:
        """Who answers event by event may get to a frame before it reads of the end."""
        call = pair()
        call.connect()
        call.server.close(call.now)
        call.server.datagrams_to_send()
        call.server.send_audio(OPUS, call.now)
        assert call.server.datagrams_to_send() == []

    def test_no_check_ends_it(self) -> None:
        """A described session that nobody checks is gone after 15 s."""
        call = pair()
        call.server.accept_offer(call.client.create_offer(call.now), call.now)
        started = call.now
        call.run_until(lambda: call.server.closed)
        assert closed(call, call.server).reason is CloseReason.NO_CHECK
        assert call.now - started == pytest.approx(15.0)

    def test_no_answer_ends_it(self) -> None:
        """An offer that is not answered is given up."""
        call = pair()
        call.client.create_offer(call.now)
        call.run_until(lambda: call.client.closed)
        assert closed(call, call.client).reason is CloseReason.NO_ANSWER

    def test_consent_expiry_ends_it(self) -> None:
        """30 s after the last sign of the peer nothing is sent any more."""
        call = pair()
        call.connect()
        call.network.connect(FIRST_ADDRESS[0], SECOND_ADDRESS[0], LinkConfig(loss=1.0))
        started = call.now
        call.run_until(lambda: call.client.closed and call.server.closed)
        assert call.now - started <= 30.1
        for session in (call.client, call.server):
            assert closed(call, session).reason is CloseReason.CONSENT_EXPIRED

    def test_wrong_certificate_ends_it(self) -> None:
        """A peer with another certificate than it described gets no keys."""
        call = pair()
        offer = call.client.create_offer(call.now)
        answer = call.server.accept_offer(offer, call.now)
        start = answer.index("sha-256 ") + 8
        forged = answer[:start] + ("00" if answer[start : start + 2] != "00" else "11")
        call.client.accept_answer(forged + answer[start + 2 :], call.now)
        call.run_until(lambda: call.client.closed)
        assert closed(call, call.client).reason is CloseReason.FINGERPRINT_MISMATCH
        assert call.events(call.client, Connected) == []


class TestVerbs:
    """Verbs refuse at once what the state does not allow."""

    def test_audio_before_connection(self) -> None:
        """There is nowhere to send it."""
        call = pair()
        with pytest.raises(UsageError):
            call.client.send_audio(OPUS, call.now)

    def test_second_description(self) -> None:
        """One exchange per session."""
        call = pair()
        call.describe()
        with pytest.raises(UsageError):
            call.server.accept_offer(call.client.local_description or "", call.now)
        with pytest.raises(UsageError):
            call.client.create_offer(call.now)

    def test_answer_without_offer(self) -> None:
        """An answer must answer something."""
        call = pair()
        other = pair(2)
        answer = other.server.accept_offer(other.client.create_offer(other.now), other.now)
        with pytest.raises(UsageError):
            call.client.accept_answer(answer, call.now)

    def test_lite_session_does_not_offer(self) -> None:
        """Two lite agents would wait for each other."""
        call = pair()
        with pytest.raises(UsageError):
            call.server.create_offer(call.now)

    def test_offer_from_lite_peer(self) -> None:
        """It would never send a check."""
        call = pair()
        offer = call.client.create_offer(call.now).replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")
        with pytest.raises(DescriptionRefused):
            call.server.accept_offer(offer, call.now)
        assert call.server.state is SessionState.NEW

    def test_malformed_offer(self) -> None:
        """Text that is no description says so."""
        call = pair()
        with pytest.raises(ParseError):
            call.server.accept_offer("hello", call.now)


def test_time_that_runs_backwards_is_clamped() -> None:
    """A caller that mixes clocks must not rewind deadlines."""
    call = pair()
    call.connect()
    deadline = call.server.get_timer()
    call.server.handle_timer(call.now - 1000)
    assert call.server.get_timer() == deadline


def test_client_that_moves_keeps_its_call() -> None:
    """After NAT rebinding the next check brings the new path and media follows it."""
    nat = Nat("203.0.113.9")
    call = pair(5, nat=nat)
    call.connect()
    nat.rebind()
    call.run_until(lambda: call.events(call.server, PathChanged), 10)
    call.server.send_audio(OPUS, call.now)
    call.run_for(0.2)
    assert call.heard(call.client) == [OPUS]

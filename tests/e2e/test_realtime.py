"""A conversation by the realtime interface, through relay and transceiver, in browsers.

The official SDK, unmodified, and a page that does by hand what the SDK does.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Browser
from tests.e2e.network import Namespace
from tests.e2e.programs import Server
from tests.interop.install import ROOT, Missing, realtime_sdk

pytestmark = pytest.mark.browser

API_KEY = "key-of-the-browser-tests"

# Seconds that the caller speaks; the parrot's answer is as long and a little more.
SPEECH = 2.0

# dB of full scale that count as nothing heard.
QUIET = -60

Event = dict[str, Any]


@pytest.fixture
def parrot(tmp_path: Path, namespace: Namespace) -> Iterator[Server]:
    """A transceiver behind a relay that says everything again, to who has a key."""
    with Server(tmp_path, namespace.host, backend="parrot", api_key=API_KEY) as server:
        yield server
        print(server.logs())


def post(server: Server, path: str, body: Any, token: str) -> Any:
    """What the server answers to JSON."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def converse(browser: Browser, server: Server, client: str) -> dict[str, Any]:
    """Hold the conversation of `page/converse.js`; its report."""
    site = browser.site
    site.files["speech.ogg"] = ROOT / "examples/media/speech.ogg"
    secret = post(server, "/v1/realtime/client_secrets", {}, API_KEY)
    order = {
        "kind": "converse",
        "client": client,
        "url": server.url,
        "key": secret["value"],
        "seconds": SPEECH,
    }
    report: dict[str, Any] = site.submit(browser.name, order).result(90)
    assert "error" not in report, report
    for event in report["events"]:
        print(round(event["at"] - report["times"]["start"]), event["type"])
    print(report["times"])
    assert "error" not in report["times"], report["times"]
    return report


def of(report: dict[str, Any], kind: str) -> list[Event]:
    """The events of one type, in order."""
    return [event for event in report["events"] if event["type"] == kind]


def check(report: dict[str, Any]) -> None:
    """The conversation went as people expect, in events and in sound."""
    kinds = [event["type"] for event in report["events"]]
    assert of(report, "error") == []
    assert kinds.index("session.created") < kinds.index("session.updated")

    # Each turn of the caller is heard from start to end and becomes an item.
    started = of(report, "input_audio_buffer.speech_started")
    stopped = of(report, "input_audio_buffer.speech_stopped")
    committed = of(report, "input_audio_buffer.committed")
    assert len(started) == len(stopped) == len(committed) == 2
    for begin, end, commit in zip(started, stopped, committed, strict=True):
        assert begin["item_id"] == end["item_id"] == commit["item_id"]
        spoken = end["audio_end_ms"] - begin["audio_start_ms"]
        # With the padding before and the silence after it.
        assert 0.8 * SPEECH * 1000 < spoken < SPEECH * 1000 + 1500

    # Three answers: one cut off by the caller's voice, one by a call of the client, one whole.
    done = [event["response"] for event in of(report, "response.done")]
    assert [response["status"] for response in done][:2] == ["cancelled", "cancelled"] or (
        # The parrot hands its answer over at once, so it may be done before it was heard.
        [response["status"] for response in done][:2] == ["completed", "completed"]
    )
    cleared = of(report, "output_audio_buffer.cleared")
    begun = of(report, "output_audio_buffer.started")
    ids = [response["id"] for response in done]
    assert [event["response_id"] for event in cleared] == ids[:2]
    assert [event["response_id"] for event in begun][:2] == ids[:2]

    # The conversation holds what was heard of each, to the frame.
    truncated = of(report, "conversation.item.truncated")
    assert len(truncated) == 2
    for event, begin, stop in zip(truncated, begun, cleared, strict=False):
        played = stop["at"] - begin["at"]
        assert event["audio_end_ms"] % 20 == 0
        # The page's clock and its event loop are not the pacer's.
        assert abs(event["audio_end_ms"] - played) < 400

    # Nothing of the old answer is heard while the caller speaks.
    assert report["times"]["while_interrupting"] < QUIET


def test_the_official_sdk(browser: Browser, parrot: Server) -> None:
    """`OpenAIRealtimeWebRTC` connects, is answered, interrupts, is understood, hangs up."""
    if browser.name != "chromium":
        pytest.skip("the SDK is tried in Chromium; Firefox has the client without it")
    try:
        browser.site.files["sdk.js"] = realtime_sdk()
    except Missing as reason:
        pytest.skip(f"the SDK is not here: {reason}")
    report = converse(browser, parrot, "sdk")
    check(report)
    assert report["errors"] == []
    assert report["status"] == "disconnected"
    assert report["callId"].startswith("rtc_")
    # What the SDK has made of it: its own view of the conversation.
    roles = [item["role"] for item in report["history"] if item["type"] == "message"]
    assert roles[:4] == ["user", "assistant", "user", "assistant"]
    parrot.wait_for_no_sessions()


def test_a_page_without_the_sdk(browser: Browser, parrot: Server) -> None:
    """The same conversation in both browsers by a page's own few lines."""
    check(converse(browser, parrot, "plain"))
    parrot.wait_for_no_sessions()

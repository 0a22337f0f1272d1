"""The programs as processes on loopback: the demonstration, the probe, the HTTP interface."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import attrs
import pytest

from examples.demonstration.frontdoor import CALLS
from examples.probe.call import CallRefused, place_call
from examples.probe.report import Report
from rtcproto import Identity, Session, SessionConfig
from rtcproto.sdp import MAX_BYTES

pytestmark = pytest.mark.live

ROOT = Path(__file__).parent.parent.parent

# Seconds that a program may take to be ready, or to end, on a busy machine.
PATIENCE = 60.0


def port(host: str = "127.0.0.1", kind: int = socket.SOCK_DGRAM) -> int:
    """A port of `host` that is free now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.bind((host, 0))
        free: int = probe.getsockname()[1]
        return free


def until(condition: Callable[[], object], what: str) -> None:
    """Return when `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Demo:
    """`with Demo(folder, flags) as demo:` runs the demonstration."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._command = [sys.executable, str(ROOT / "examples" / "demo.py"), *flags]
        self._out, self._err = folder / "out", folder / "err"
        self.url = ""

    @property
    def probed(self) -> str:
        """Where calls are echoed, so that what comes back can be compared."""
        return self.url + "?model=echo"

    def __enter__(self) -> Self:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            # Another folder: the demonstration must be startable from anywhere.
            self.process = subprocess.Popen(
                self._command,
                stdout=out,
                stderr=err,
                cwd=self._out.parent,
                # What it makes for itself goes with the folder of the test.
                env={**os.environ, "TMPDIR": str(self._out.parent)},
                start_new_session=True,
            )
        until(lambda: b"ready " in self._out.read_bytes() or self.process.poll() is not None, "")
        lines = self._out.read_text().splitlines()
        assert lines, self._err.read_text()
        self.url = lines[0].removeprefix("ready ") + CALLS
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def children(self) -> dict[str, int]:
        """The process that has each name now."""
        found = re.findall(r"^(.*): process (\d+)$", self._err.read_text(), re.MULTILINE)
        return {name: int(number) for name, number in found}


@attrs.frozen
class Reply:
    """An HTTP response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> Any:
        """The error in it."""
        return json.loads(self.body)["error"]


def ask(method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    """One HTTP request; offers are what is posted if nothing else is said."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=PATIENCE)
    try:
        kind = {"Content-Type": "application/sdp"} if method == "POST" else {}
        connection.request(method, parts.path, body, {**kind, **(headers or {})})
        response = connection.getresponse()
        return Reply(response.status, response.msg, response.read())
    finally:
        connection.close()


def offer() -> str:
    """An offer of a client that never sends a check."""
    config = SessionConfig(identity=Identity.generate(time.time()), ice_lite=False)
    return Session(config, time.time(), 0.0).create_offer(0.0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A relay for each address family, two transceivers."""
    relays = (f"--relay=127.0.0.1:{port()}", f"--relay=[::1]:{port('::1')}")
    with Demo(tmp_path_factory.mktemp("demo"), "--http=127.0.0.1:0", *relays) as running:
        yield running


@pytest.mark.parametrize(
    ("flags", "path"),
    [
        (["--http=127.0.0.1:0", "--relay=127.0.0.1:0"], r"127\.0\.0\.1:\d+ \(the relay\)"),
        (["--http=[::1]:0", "--relay=[::1]:0"], r"\[::1\]:\d+ \(the relay\)"),
        (["--http=127.0.0.1:0", "--relay=[::1]:0", "--tls"], r"\[::1\]:\d+ \(the relay\)"),
        (
            ["--http=127.0.0.1:0", "--relay=127.0.0.1:0", "--relay=127.0.0.1:0"],
            r"127\.0\.0\.1:\d+ \(the relay\)",
        ),
        (["--http=127.0.0.1:0", "--no-relay"], r"127\.0\.0\.1:\d+$"),
        (["--http=[::1]:0", "--no-relay", "--transceivers=1"], r"\[::1\]:\d+$"),
        (
            ["--http=0.0.0.0:0", "--relay=0.0.0.0:0", "--advertise=127.0.0.1"],
            r"127\.0\.0\.1:\d+ \(the relay\)",
        ),
    ],
    ids=["relay", "ipv6", "tls", "two-relays", "no-relay", "no-relay-ipv6", "advertise"],
)
def test_demo_once(flags: list[str], path: str) -> None:
    """`--once` prints one ready line and the call's table, and exits with the call's status."""
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), *flags, "--once"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stderr
    scheme = "https" if "--tls" in flags else "http"
    assert len(re.findall(rf"^ready {scheme}://\S+$", done.stdout, re.MULTILINE)) == 1
    assert re.search(rf"^path .* -> {path}", done.stdout, re.MULTILINE), done.stdout
    assert "result       passed" in done.stdout


def test_probe_program(demo: Demo) -> None:
    """The probe prints JSON and its status says whether the echo worked."""
    command = [
        sys.executable,
        "-m",
        "examples.probe",
        demo.probed,
        "--tone",
        "--seconds=2",
        "--json",
    ]
    relay = re.findall(r"^relay (127\S+)$", "\n".join(demo.children()), re.MULTILINE)[0]
    for expected, flags in ((0, ["--relay", relay]), (1, ["--relay", "127.0.0.1:1"])):
        done = subprocess.run(
            [*command, *flags], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE
        )
        assert done.returncode == expected, done.stderr
        report = json.loads(done.stdout)
        assert report["passed"] is (expected == 0)
        assert report["sent"] == 100
        assert report["ratio"] >= 0.9
        assert None not in report["phases"].values()


def test_nobody_there() -> None:
    """An address where nobody answers is one line and status 2; a page is no call: status 1."""
    url = f"http://127.0.0.1:{port(kind=socket.SOCK_STREAM)}{CALLS}"
    command = [sys.executable, "-m", "examples.probe", url]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.startswith("probe: ")
    assert done.stderr.count("\n") == 1


def test_calls_at_once_and_delete(demo: Demo) -> None:
    """Several calls share the two transceivers in turn; DELETE ends each at its owner."""

    async def calls() -> list[Report]:
        return await asyncio.gather(*(place_call(demo.probed, seconds=2.0) for _ in range(4)))

    reports = asyncio.run(calls())
    assert all(report.passed for report in reports)
    locations = [str(report.location) for report in reports]
    owners = sorted(location.rpartition("rtc_")[2].split(".")[1] for location in locations)
    assert owners == ["0", "0", "1", "1"]
    # The probe sent a DELETE, and heard the farewell before it said its own.
    assert {report.closed for report in reports} == {"closed by the peer (close_notify)"}
    assert ask("DELETE", locations[0]).status == 404


def test_wrong_owner(demo: Demo) -> None:
    """A call id with another owner, a third transceiver, or none at all is a 404."""
    location = str(ask("POST", demo.url, offer().encode()).headers["Location"])
    base, _, number = location.rpartition("rtc_")
    _, owner, epoch, session = number.split(".")
    for wrong in (f"0.{1 - int(owner)}.{epoch}.{session}", f"0.7.{epoch}.{session}", session):
        reply = ask("DELETE", demo.url.removesuffix(CALLS) + base + "rtc_" + wrong)
        assert reply.status == 404
        assert reply.error["code"] == "no_such_call"
    assert ask("DELETE", demo.url.removesuffix(CALLS) + location).status == 200


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        (lambda sdp: "", 400, "sdp"),
        (lambda sdp: "nonsense", 400, "sdp"),
        (lambda sdp: sdp.replace("m=audio ", "m=audio nine"), 400, "m="),
        (lambda sdp: re.sub(r"a=ice-ufrag:.*\r\n", "", sdp), 422, "ice-ufrag"),
        (lambda sdp: re.sub(r"a=fingerprint:.*\r\n", "", sdp), 422, "fingerprint"),
        (lambda sdp: re.sub(r"a=group:.*\r\n", "", sdp), 422, "BUNDLE"),
        (lambda sdp: sdp.replace("opus/48000", "opuz/48000"), 422, "Opus"),
        (lambda sdp: sdp.replace("m=audio", "m=video"), 422, "audio"),
        (lambda sdp: sdp + "a=x\r\n" * MAX_BYTES, 413, "more than"),
    ],
    ids=["empty", "junk", "port", "ufrag", "fingerprint", "bundle", "codec", "audio", "size"],
)
def test_bad_offers(demo: Demo, change: Callable[[str], str], status: int, said: str) -> None:
    """Each is refused with JSON that names what is wrong."""
    reply = ask("POST", demo.url, change(offer()).encode())
    assert reply.status == status, reply.body
    assert said.lower() in reply.error["message"].lower()
    assert reply.error["type"] == "invalid_request_error"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


def test_other_media_type(demo: Demo) -> None:
    """An offer is SDP, JSON or a form, and nothing else."""
    reply = ask("POST", demo.url, b"{}", {"Content-Type": "text/plain"})
    assert reply.status == 415
    assert reply.error["code"] == "unsupported_media_type"


def test_preflight(demo: Demo) -> None:
    """A page of another origin may post an offer, read the Location, and end the call."""
    asks = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,authorization,x-openai-agents-sdk",
    }
    for url in (demo.url, demo.url + "/rtc_0.0.0.abc"):
        reply = ask("OPTIONS", url, headers=asks)
        assert reply.status in (200, 204)
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        allowed = reply.headers["Access-Control-Allow-Headers"].lower().replace(" ", "")
        assert set(asks["Access-Control-Request-Headers"].split(",")) <= set(allowed.split(","))
        methods = reply.headers["Access-Control-Allow-Methods"]
        assert {"POST", "DELETE"} <= set(methods.replace(" ", "").split(","))
    created = ask("POST", demo.url, offer().encode(), {"Origin": "https://page.example"})
    assert created.status == 201
    assert created.headers.get_content_type() == "application/sdp"
    assert "Location" in created.headers["Access-Control-Expose-Headers"]
    assert created.body.endswith(b"\r\n")


def test_side_bands_and_hang_up_find_the_owner(demo: Demo) -> None:
    """Through the front door, in any turn."""

    async def side_band(location: str) -> dict[str, Any]:
        call_id = location.rpartition("/")[2]
        url = demo.url.removesuffix("/calls") + f"?call_id={call_id}"
        last: dict[str, Any] = {}
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as joined:
            hang_up = demo.url.removesuffix(CALLS) + location + "/hangup"
            assert (await asyncio.to_thread(ask, "POST", hang_up)).status == 200
            async with asyncio.timeout(PATIENCE):
                async for message in joined:
                    last = json.loads(message.data)
            assert joined.close_code == 1000
        return last

    for _ in range(3):
        location = str(ask("POST", demo.url, offer().encode()).headers["Location"])
        assert asyncio.run(side_band(location))["reason"] == "close_requested"


def test_page(demo: Demo) -> None:
    """The front door serves the page and the recordings."""
    base = demo.url.removesuffix(CALLS)
    assert ask("GET", base + "/").headers.get_content_type() == "text/html"
    assert ask("GET", base + "/media/speech.ogg").body.startswith(b"OggS")


def test_over_capacity(tmp_path: Path) -> None:
    """Full transceivers are skipped; when all are full, 503 says when to try again."""
    flags = ("--http=127.0.0.1:0", "--relay=127.0.0.1:0", "--max-sessions=1")
    with Demo(tmp_path, *flags) as demo:
        created = [ask("POST", demo.url, offer().encode()) for _ in range(3)]
        assert [reply.status for reply in created] == [201, 201, 503]
        assert int(created[2].headers["Retry-After"]) > 0
        assert created[2].error["code"] == "over_capacity"
        location = demo.url.removesuffix(CALLS) + str(created[0].headers["Location"])
        assert ask("DELETE", location).status == 200
        assert ask("POST", demo.url, offer().encode()).status == 201


def test_relay_restart(tmp_path: Path) -> None:
    """A relay killed in mid-call is started again, and the audio resumes by itself."""
    with Demo(tmp_path, "--http=127.0.0.1:0", "--relay=127.0.0.1:0") as demo:
        [(name, number)] = [item for item in demo.children().items() if "relay" in item[0]]

        async def call() -> Report:
            placed = asyncio.create_task(place_call(demo.probed, seconds=9.0))
            await asyncio.sleep(3.0)
            os.kill(number, signal.SIGKILL)
            return await placed

        report = asyncio.run(call())
        until(lambda: demo.children()[name] != number, "the relay was not started again")
    assert report.longest_gap is not None
    assert 0.3 < report.longest_gap < 5.0
    # All but what was under way in the gap came back, so most of it after the gap.
    assert report.in_order > report.sent - (report.longest_gap + 0.2) / 0.02
    assert report.closed == "closed by the peer (close_notify)"


def test_transceiver_restart(tmp_path: Path) -> None:
    """A dead transceiver is passed over, and takes calls again once it is back."""
    with Demo(tmp_path, "--http=127.0.0.1:0", "--no-relay") as demo:
        before = demo.children()["transceiver 0"]
        os.kill(before, signal.SIGKILL)
        assert [ask("POST", demo.url, offer().encode()).status for _ in range(4)] == [201] * 4
        until(lambda: demo.children()["transceiver 0"] != before, "not started again")
        owners = set()
        for _ in range(2):
            location = str(ask("POST", demo.url, offer().encode()).headers["Location"])
            owners.add(location.rpartition("rtc_")[2].split(".")[1])
        assert owners == {"0", "1"}


def gone(number: int) -> bool:
    """Whether there is no such process."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_end(tmp_path: Path, number: signal.Signals) -> None:
    """It ends with status 0 and leaves no process behind, not even when it is killed."""
    with Demo(tmp_path, "--http=127.0.0.1:0", "--relay=127.0.0.1:0") as demo:
        children = demo.children()
        assert len(children) == 3
        demo.process.send_signal(number)
        status = demo.process.wait(PATIENCE)
        assert status == (-9 if number == signal.SIGKILL else 0)
        until(lambda: all(map(gone, children.values())), f"left behind: {children}")


def test_the_probe_says_a_status_once(demo: Demo) -> None:
    """A web server's own text for an error begins with its status, as the probe's line does."""
    with pytest.raises(CallRefused, match=r"nowhere: 404: Not Found$"):
        asyncio.run(place_call(demo.url + "/no/where/nowhere"))


@pytest.mark.parametrize("program", ["probe", "transceiver"])
def test_without_aiohttp(program: str) -> None:
    """A module that is not installed is one clear line, and status 2."""
    code = f"""if True:
        import runpy, sys
        sys.modules["aiohttp"] = None
        runpy.run_module("examples.{program}", run_name="__main__")"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{program}: no module aiohttp")
    assert done.stderr.count("\n") == 1


def test_clients_are_told_of_the_end(tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to every process at once: the call ends with a farewell.

    It comes through the relay, so the relay must outlive the transceivers.
    """
    with Demo(tmp_path, "--http=127.0.0.1:0", "--relay=127.0.0.1:0") as demo:

        async def call() -> Report:
            placed = asyncio.create_task(place_call(demo.probed, seconds=20.0))
            await asyncio.sleep(2.0)
            os.killpg(demo.process.pid, signal.SIGINT)
            return await placed

        report = asyncio.run(call())
        assert demo.process.wait(PATIENCE) == 0
    assert report.in_order > 25
    assert report.closed == "closed by the peer (close_notify)"
    assert list(tmp_path.glob("rtcproto-demo-*")) == []


@pytest.mark.parametrize("taken", ["--http", "--relay"])
def test_port_in_use(taken: str) -> None:
    """A port in use is one clear line and status 2, with nothing left behind."""
    kind = socket.SOCK_STREAM if taken == "--http" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        flags = {"--http": "127.0.0.1:0", "--relay": "127.0.0.1:0"}
        flags[taken] = f"127.0.0.1:{holder.getsockname()[1]}"
        command = [sys.executable, str(ROOT / "examples" / "demo.py")]
        command += [f"{flag}={value}" for flag, value in flags.items()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("demo: ")]
    assert "in use" in line
    assert "ready http" not in done.stdout


def test_tls_serves_the_page(tmp_path: Path) -> None:
    """With --tls there is a secure context, so that a page may use the microphone."""
    with Demo(tmp_path, "--http=127.0.0.1:0", "--no-relay", "--tls") as demo:
        parts = urlsplit(demo.url)
        assert parts.scheme == "https"
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            str(parts.hostname), parts.port, context=context, timeout=PATIENCE
        )
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()

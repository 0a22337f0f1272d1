"""Chromium and Firefox without a window, driven by nothing but the address they open.

Each gets a fresh profile and opens the test page, which then asks the site for work.
Firefox runs audio only where there is a sound device; a private PulseAudio with a null
sink is one (`sound_server`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs

from tests.e2e.analysis import Found, Samples, find, signal
from tests.e2e.process import Process
from tests.e2e.site import Job, Site

__all__ = ["BROWSERS", "Browser", "CallReport", "launch", "sound_server", "why_no_browser"]

BROWSERS = ("chromium", "firefox")

# What each is called on different systems.
NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "firefox": ("firefox-esr", "firefox"),
}

# Seconds that a call may take to connect before it counts as not connected.
CONNECT_TIMEOUT = 15.0

# Seconds on top of a signal's length after which a page that says nothing is given up.
PATIENCE = 45.0

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)

FIREFOX_PREFERENCES = {
    "media.autoplay.default": "0",
    "media.autoplay.blocking_policy": "0",
    "media.autoplay.block-webaudio": "false",
    "media.navigator.streams.fake": "true",
    "media.navigator.permission.disabled": "true",
    "browser.shell.checkDefaultBrowser": "false",
    "datareporting.policy.dataSubmissionEnabled": "false",
    "toolkit.telemetry.reportingpolicy.firstRun": "false",
    "network.captive-portal-service.enabled": "false",
    "network.connectivity-service.enabled": "false",
    "app.normandy.enabled": "false",
    "app.update.disabledForTesting": "true",
    "extensions.update.enabled": "false",
    "browser.safebrowsing.malware.enabled": "false",
    "browser.safebrowsing.phishing.enabled": "false",
}


def why_no_browser(name: str) -> str | None:
    """Why this browser cannot be used on this machine, or None."""
    if _executable(name) is None:
        return f"{name} is not installed"
    if name == "firefox" and shutil.which("pulseaudio") is None:
        return "Firefox needs a sound device: pulseaudio is not installed"
    return None


@attrs.frozen(kw_only=True)
class CallReport:
    """What the page says about one call."""

    connected: bool
    states: list[str]
    status: int
    answer: str
    stats: list[dict[str, Any]]
    recording: Samples
    # Sample of the recording at which the signal's first sample was played.
    offset: int
    seed: int
    seconds: float
    deleted: int | None

    def find(self, seed: int | None = None) -> Found:
        """Look for the signal that was played, or for another one."""
        wanted = self.seed if seed is None else seed
        return find(signal(wanted, self.seconds), self.recording, self.offset)

    def stat(self, kind: str, **values: object) -> dict[str, Any]:
        """The first entry of the statistics of this type with these values; {} if none."""
        for entry in self.stats:
            if entry["type"] == kind and all(entry.get(k) == v for k, v in values.items()):
                return entry
        return {}

    def remote(self) -> tuple[str, int]:
        """The server's address of the pair that is in use."""
        selected = self.stat("transport").get("selectedCandidatePairId")
        pair = self.stat("candidate-pair", id=selected) or self.stat(
            "candidate-pair", selected=True
        )
        candidate = self.stat("remote-candidate", id=pair["remoteCandidateId"])
        return candidate["address"], candidate["port"]


class Place(Protocol):
    """Where programs run."""

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `arguments` there."""


class Calls:
    """Calls under way in one page."""

    def __init__(self, job: Job, seeds: list[int], seconds: float) -> None:
        self._job = job
        self._seeds = seeds
        self._seconds = seconds

    def wait_connected(self) -> None:
        """Return when every call is connected; the signals begin at about that moment."""
        for index in range(len(self._seeds)):
            self._job.wait_for(f"connected {index}", CONNECT_TIMEOUT + PATIENCE)

    def reports(self) -> list[CallReport]:
        """Wait for the end of the calls."""
        results = self._job.result(CONNECT_TIMEOUT + self._seconds + PATIENCE)
        if isinstance(results, dict):
            raise RuntimeError(f"the page failed: {results['error']}")
        return [self._report(index, result) for index, result in enumerate(results)]

    def _report(self, index: int, result: dict[str, Any]) -> CallReport:
        if "error" in result:
            raise RuntimeError(f"call {index} failed in the page: {result['error']}")
        return CallReport(
            connected=result["connected"],
            states=result["states"],
            status=result["status"],
            answer=result["answer"],
            stats=result.get("stats", []),
            recording=self._job.recordings[index],
            offset=result.get("playedFrame", 0) - result["recordedFrame"],
            seed=self._seeds[index],
            seconds=self._seconds,
            deleted=result.get("deleted"),
        )


class Browser:
    """A running browser, waiting for work."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.site = site
        self._seed = 0

    def start_calls(
        self,
        url: str,
        *,
        seconds: float,
        count: int = 1,
        timeout: float = CONNECT_TIMEOUT,
        offer: tuple[str, str] | None = None,
        answer: tuple[str, str] | None = None,
    ) -> Calls:
        """Place calls at the same time, each with a signal of its own.

        `offer` and `answer` are (pattern, replacement): the description is changed on its way.
        """
        seeds = [self._seed + index for index in range(count)]
        self._seed += count
        orders = [
            {
                "url": url,
                "signal": f"/e2e/signal/{seed}/{round(seconds * 1000)}",
                "seconds": seconds,
                "timeout": timeout,
                "offer": offer,
                "answer": answer,
            }
            for seed in seeds
        ]
        job = self.site.submit(self.name, {"kind": "calls", "calls": orders})
        return Calls(job, seeds, seconds)

    def call(self, url: str, **options: Any) -> CallReport:
        """Place one call and wait for its end."""
        return self.start_calls(url, **options).reports()[0]


@contextmanager
def launch(
    name: str,
    site: Site,
    namespace: Place,
    environment: dict[str, str],
    flags: tuple[str, ...] = (),
) -> Iterator[Browser]:
    """Run a browser with a fresh profile on the test page; `flags` are more of Chromium's."""
    # With flags it is another one, and does not take the other's work.
    known_as = "-".join((name, *(["with-flags"] if flags else [])))
    url = f"{site.url}/e2e/?browser={known_as}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        profile = Path(folder, "profile")
        profile.mkdir()
        executable = _executable(name)
        assert executable is not None, "the caller has asked why_no_browser"
        if name == "chromium":
            command = [executable, *CHROMIUM_FLAGS, *flags, f"--user-data-dir={profile}", url]
        else:
            lines = [f'user_pref("{k}", {v});' for k, v in FIREFOX_PREFERENCES.items()]
            Path(profile, "user.js").write_text("\n".join(lines), encoding="utf-8")
            command = [executable, "--headless", "--no-remote", "--profile", str(profile), url]
        log = Path(folder, "log")
        # A home of its own as well: nothing of the person's who runs the tests is touched.
        environment = {**environment, "HOME": folder}
        with Process(namespace.command(*command), log, environment):
            yield Browser(known_as, site)


@contextmanager
def sound_server() -> Iterator[dict[str, str]]:
    """Run a private PulseAudio that plays into nothing; gives the environment to reach it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "socket")
        command = [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit",
            "--use-pid-file=no", "-L", "module-null-sink",
            "-L", f"module-native-protocol-unix socket={path} auth-anonymous=1",
        ]  # fmt: skip
        environment = {"XDG_RUNTIME_DIR": folder, "HOME": folder}
        with Process(command, Path(folder, "log"), environment) as process:
            process.wait_until(path.exists)
            yield {"PULSE_SERVER": f"unix:{path}", "XDG_RUNTIME_DIR": folder}


def _executable(name: str) -> str | None:
    return next(filter(None, map(shutil.which, NAMES[name])), None)

"""Builds the peers that are not Python, once, outside the source tree.

The cache is $RTCPROTO_INTEROP_CACHE, by default ~/.cache/rtcproto-interop. What a peer is built
from is pinned by the lock files beside its program, and names its folder in the cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["ROOT", "Missing", "command", "realtime_sdk"]

# Where `python -m tests...` works.
ROOT = Path(__file__).parents[2]

PEERS = Path(__file__).parent / "peers"

# Seconds to download and compile one peer, on a slow machine with a cold cache.
BUILD_LIMIT = 240.0


# No scripts of packages run: the binary of wrtc comes as a package of its own.
NPM = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def command(name: str) -> list[str]:
    """How to start a peer, built if need be. Raises Missing."""
    match name:
        case "aiortc":
            if importlib.util.find_spec("aiortc") is None:
                raise Missing("aiortc is not installed (the extra 'peers')")
            return [sys.executable, "-m", "tests.interop.peers.aiortc_peer"]
        case "pion":
            folder = _built(name, ["go", "build", "-o", "peer", "."])
            return [str(folder / "peer")]
        case "werift" | "wrtc":
            return ["node", str(_built(name, NPM) / "main.js")]
        case "gstreamer":
            return _gstreamer()
        case _:
            raise Missing(f"there is no peer {name!r}")


def realtime_sdk() -> Path:
    """The official realtime SDK for browsers, as one script. Raises Missing."""
    bundle = "node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.umd.js"
    return _built("realtime_sdk", NPM) / bundle


def _built(name: str, build: list[str]) -> Path:
    source = PEERS / name
    if shutil.which(build[0]) is None:
        raise Missing(f"{build[0]} is not installed")
    files = sorted(path for path in source.iterdir() if path.is_file())
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]
    home = os.environ.get("RTCPROTO_INTEROP_CACHE") or Path.home() / ".cache" / "rtcproto-interop"
    target = Path(home) / f"{name}-{digest}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # Built aside and renamed, so that a folder with the final name is complete.
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{name}-"))
    try:
        for path in files:
            shutil.copy(path, scratch)
        try:
            subprocess.run(
                build,
                cwd=scratch,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=BUILD_LIMIT,
            )
        except subprocess.CalledProcessError as error:
            lines = error.stdout.decode(errors="replace").strip().splitlines()
            raise Missing(f"{' '.join(build)}: {lines[-1] if lines else 'failed'}") from None
        except subprocess.TimeoutExpired:
            raise Missing(f"{' '.join(build)}: not done in {BUILD_LIMIT:g} s") from None
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _gstreamer() -> list[str]:
    # PyGObject comes with the system's Python, hardly ever with ours.
    for python in dict.fromkeys(("/usr/bin/python3", sys.executable)):
        if shutil.which(python) is None:
            continue
        program = [python, "-m", "tests.interop.peers.gstreamer_peer"]
        probe = subprocess.run([*program, "--probe"], cwd=ROOT, capture_output=True, timeout=60)
        if probe.returncode == 0:
            return program
    raise Missing(
        "GStreamer with webrtcbin, nice, opus and its Python binding is not installed (Debian: "
        "gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-nice python3-gst-1.0 "
        "gir1.2-gst-plugins-bad-1.0)"
    )

"""The page of the demonstration, as routes for an aiohttp application."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

__all__ = ["page_routes"]

_FOLDER = Path(__file__).parent
_MEDIA = _FOLDER.parent / "media"


def page_routes() -> list[web.AbstractRouteDef]:
    """The page at `/`, its scripts under `/page/`, the recorded speech under `/media/`."""

    async def index(request: web.Request) -> web.FileResponse:
        return web.FileResponse(_FOLDER / "index.html")

    return [
        web.get("/", index),
        web.static("/page", _FOLDER / "static"),
        web.static("/media", _MEDIA),
    ]

"""A relay program. `RelayServer` runs one inside another program."""

from examples.relay.server import RelayServer
from examples.relay.settings import RelaySettings, SettingsError

__all__ = ["RelayServer", "RelaySettings", "SettingsError"]

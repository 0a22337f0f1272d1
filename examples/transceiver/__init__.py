"""A transceiver program. `Transceiver` runs one inside another program."""

from examples.transceiver.server import Transceiver
from examples.transceiver.settings import Settings, SettingsError

__all__ = ["Settings", "SettingsError", "Transceiver"]

"""The realtime event interface, examples.transceiver.realtime."""

"""A transceiver program; `server.Transceiver` runs one inside another program."""

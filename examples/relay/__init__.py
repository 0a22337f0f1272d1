"""A relay program; `server.RelayServer` runs one inside another program."""

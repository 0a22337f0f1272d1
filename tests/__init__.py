"""The tests; `make test` runs those that need no network."""

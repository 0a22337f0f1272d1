"""Programs of other implementations; see `tests.interop.peer`."""

"""A client that measures a call; `call.place_call` makes one inside another program."""

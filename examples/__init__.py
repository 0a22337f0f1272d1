"""Programs that show how to use rtcproto; copy what you need."""

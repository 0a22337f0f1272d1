"""The realtime event interface of one call: JSON events on `oai-events` and side bands.

`dialogue.Dialogue` is the state machine. It is Sans-IO: what happens in a call is
told to it, and it says which events go to the client and what the call has to do.
After every input the call drains both outputs, in this order: `commands()`, and again
as long as carrying one out was an input (`StopPlayout` is answered by `played`), then
`events_to_send()`, which goes to the channel and to every side band.
"""

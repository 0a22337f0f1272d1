#!/bin/sh
# Makes speech.ogg, the recorded voice of the probe, the page and the tests: a
# synthetic speaker (no person's voice) in 20 ms Opus frames. The text and the recording
# are part of this project and under its licence.
# Needs espeak-ng and opus-tools (Debian packages of these names).
set -eu
cd "$(dirname "$0")"
espeak-ng -v en-gb -s 160 --stdout \
  "Hello. This is a call through the relay. Every frame that you hear was sent from here, \
travelled to the transceiver, and came back unchanged. One, two, three, four, five." |
  opusenc --quiet --serial 1 --bitrate 24 --framesize 20 --discard-comments - speech.ogg

#!/bin/sh
# Makes tone.ogg, what the probe sends with --tone: four seconds of a tone that
# sweeps from 220 Hz to 1,760 Hz, so that no two 20 ms Opus frames are alike.
# The recording is part of this project and under its licence.
# Needs sox and opus-tools (Debian packages of these names).
set -eu
cd "$(dirname "$0")"
sox -n -r 48000 -c 1 -b 16 -t wav - synth 4 sine 220-1760 gain -12 |
  opusenc --quiet --serial 1 --bitrate 24 --framesize 20 --discard-comments - tone.ogg

"""Tests named by the threat they answer."""

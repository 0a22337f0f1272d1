"""Tests against implementations that are not ours."""

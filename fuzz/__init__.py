"""Fuzz targets and a seeded runner; see README.md."""

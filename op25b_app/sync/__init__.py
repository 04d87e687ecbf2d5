"""Bringing rules to a switch and knowing that they are there."""

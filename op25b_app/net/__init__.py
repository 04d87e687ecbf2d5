"""Addresses and numbers: prefixes, sets of them, labels by longest-prefix match, smallest tables."""

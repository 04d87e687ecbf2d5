"""Prove for every packet that a switch's flow tables implement a policy."""

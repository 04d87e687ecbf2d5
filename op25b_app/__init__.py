"""Outbound Port 25 Blocking for OpenFlow switches, as a Ryu application."""

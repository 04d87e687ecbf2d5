"""Policy, events and control server of a running controller."""

"""Policy, events and control endpoint of a running controller."""

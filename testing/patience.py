"""How long tests wait for an event before they call it a hang."""

HANG_SECONDS = 300.0
"""So long that a loaded machine does not take it, and only a hang does.

A test that waits returns at the event: this costs time only where something is broken. What the product
promises in seconds is tested with a time that the test sets, or in seconds of CPU time.
"""

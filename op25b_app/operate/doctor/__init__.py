"""Checks of ``op25b doctor``: faults of a switch or a controller that OpenFlow cannot show."""

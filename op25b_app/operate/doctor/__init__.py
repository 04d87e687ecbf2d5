"""``op25b doctor``: what is wrong with a switch or a controller that OpenFlow cannot say."""

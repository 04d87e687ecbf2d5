"""Other ways to put the same filter in place, each installed from its packages and run for real."""

"""The ``op25b`` command."""

"""A package of its own: a dependency installs another one of this name."""

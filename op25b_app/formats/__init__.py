"""Files that other programs write: lease databases, registries' lists, route objects, tables."""

"""Tell from lease databases and lists of lines which line has which address now."""

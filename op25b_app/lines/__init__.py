"""Which line has which address now: what lease databases and lists of lines say."""

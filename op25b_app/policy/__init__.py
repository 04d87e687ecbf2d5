"""The policy: its values, its file format, and its specification in code."""

"""Compile a policy to the flow rules of one switch."""

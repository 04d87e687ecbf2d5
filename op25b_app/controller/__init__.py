"""Ryu application and its connections: all that knows Ryu or eventlet."""

"""Shared by the tests, the benchmarks and the lab: a fake switch, Open vSwitch, frames."""

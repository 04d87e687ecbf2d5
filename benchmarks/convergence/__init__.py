"""Does a table change without a wrong moment? Real Open vSwitch, a real controller, packets all the time."""

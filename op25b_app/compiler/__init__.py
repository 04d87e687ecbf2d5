"""How a switch says it: a policy compiled to the flow rules of one switch."""

"""Does a switch's table implement a policy, for every packet? Shares no code with the compiler."""

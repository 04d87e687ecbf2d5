"""OpenFlow messages as values and bytes: flow rules, statistics, errors, and the text of ovs-ofctl."""

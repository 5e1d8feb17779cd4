"""How fast this machine is, and recurra on it: what `recurra bench`, `recurra doctor` and benchmarks/speed share.

Seconds depend on the machine and on what else it does. What is published is a ratio to a peer, measured in turns with
recurra in the same process, or a share of what the machine can do.
"""

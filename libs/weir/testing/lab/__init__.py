"""Networks as nodes of a cluster have them, in network namespaces: bridges, NAT, redirections, links that fail.

`spaces` builds them, `places` are the topologies with what they are known as, `asking` and `answering` talk in them,
`steps` lets tasks of one process work inside several of them, `relay` leads a port into them. Needs root.
"""

"""The Kubernetes API as targets sees it: small values and a stream of changes.

Takes lists and watches of the API server, one stream for each kind of resource and installation. Makes `Change`s of the
flat values in `objects`. Never decides who is a target, and never publishes.
"""

"""A Kubernetes cluster of two real nodes on this machine, for tests: kubelets, containerd, Services and DNS.

Everything is in a network namespace of the process that starts it, and ends with that process; each node is a tree of
processes in network, mount, process and UTS namespaces of its own. No address, route, filter or forwarding of the host
changes. Needs root, Debian's containerd, runc and CNI plugins, and the programs of `weir.testing.kube`.
"""

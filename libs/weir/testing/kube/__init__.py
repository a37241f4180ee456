"""A real Kubernetes control plane on this machine, built from the Go module proxy (Go is needed once).

kube-apiserver, etcd, controller-manager and scheduler are the real programs; kwok plays nodes and pods.
"""

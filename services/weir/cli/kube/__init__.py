"""Finding an installation of weir through a kubeconfig, and reaching its hub: a forwarded port and the token.

Imported only when no hub is named and none runs here; kubernetes-asyncio only then.
"""

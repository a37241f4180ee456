"""targets: who is who, and whose payload is wanted.

Takes the static targets and names of its settings. Makes `endpoints` (who an address is, and whether it is targeted)
and `control` (one versioned document). Never sees packets.
"""

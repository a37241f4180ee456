"""How stages talk: one interface (`api`), one process (`memory`) or a Kafka cluster (`kafka`), the same semantics.

Every topic is declared once, in `topics`; `codec` turns values into MessagePack and back and checks sizes on both
sides. Service code cannot tell which bus it runs on.
"""

"""Rules as people write them: what is a valid one, and which pods it selects. Pure.

What a rule is, `weir.model.control.Rule` says; who keeps them and what follows from them is the business of `targets`.
"""

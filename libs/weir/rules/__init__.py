"""Rules as people write them: what is a valid one, and which pods it selects. Pure.

What a rule is, `weir.model.control.Rule` says; who keeps them and what follows from them is the business of `targets`.
"""

from weir.rules.check import check_rule, rule_from_map
from weir.rules.match import Matcher

__all__ = ["Matcher", "check_rule", "rule_from_map"]

"""The views: what the log says now about executions, pending, circuits, quotas and the rest.

A view is a dictionary of rows and a set of handlers, one for each effect of the declaration that
changes it. `folding.py` folds an event into all of them. Nothing here reads a clock, a server or a
random number: the same log gives the same views, anywhere.

Every row carries the position of the last event that was folded into it. That is how a live row is
compared with a replayed one, and how a rebuild knows which of two is newer.
"""

if __name__ != "by_cp.projections":  # a link of this name stands at the top of the checkout
    raise ImportError("import by_cp.projections, not the bare name")

"""Providers that come with by-cp, and what they are made of.

`process.py` runs worker processes on this machine, `command.py` any executable for each wake,
`webhook.py` asks an HTTP endpoint, and `routed.py` chooses among providers by agent type.
"""

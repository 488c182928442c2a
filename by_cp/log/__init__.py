"""The log: the commands that change it, the contract of a store, and the two stores.

Start with `contract.py`; `decider.py` is what every store must decide, in pure Python.
"""

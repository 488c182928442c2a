"""The law: states, events, the one declaration of what may follow what, and the codec. No I/O.

Start with `declaration.py`.
"""

if __name__ != "by_cp.statemachine":  # a link of this name stands at the top of the checkout
    raise ImportError("import by_cp.statemachine; the bare name belongs to python-statemachine")

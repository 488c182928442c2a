"""Drift: do the live rows say what the log says? Found (`verifying`) and mended (`rebuilding`).

Theory: the log is folded *in step* with the looking. Each look at live rows is one atomic moment of
the server, and comes with the log's last position at that moment; the log is folded to exactly
there, and then the rows must be equal, down to the last field. There are no guesses about what may
have happened meanwhile, and so no false alarms.
"""

"""The past: histories read back, folded, explained and exported; the `by-replay` command."""

if __name__ != "by_cp.replay":  # a link of this name stands at the top of the checkout
    raise ImportError("import by_cp.replay; the bare name belongs to others")

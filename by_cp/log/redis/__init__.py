"""The log on Redis or Valkey: one function call per command.

`lua/` is the server's half, `library.py` puts it together with the declared table as data,
`layout.py` says which keys a command may touch, `encoding.py` turns commands into calls and replies
into answers, `calls.py` sends them, many in one go. `store.py` is the contract over all of it.
"""

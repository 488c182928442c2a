"""The `by-cp` command: a file for each subcommand, loaded only when it is asked for."""

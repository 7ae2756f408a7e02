"""`python -m arenagrad`: the command line, which `arenagrad._cli` holds."""

from arenagrad._cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())

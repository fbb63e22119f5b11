"""`python -m knowpack`: the `knowpack` command."""

from knowpack.cli.main import main

if __name__ == "__main__":
    main()

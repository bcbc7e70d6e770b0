"""`python -m gaintuning` is the command `gaintuning`."""

from gaintuning.cli import app

if __name__ == "__main__":
    app()

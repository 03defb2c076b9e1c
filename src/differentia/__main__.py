"""``python -m differentia``."""

from differentia.cli import script

if __name__ == "__main__":
    script()

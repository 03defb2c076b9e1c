"""``python -m differentia``."""

import sys

from differentia.cli import main

if __name__ == "__main__":
    sys.exit(main())

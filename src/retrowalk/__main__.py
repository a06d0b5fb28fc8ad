"""`python -m retrowalk`."""

import sys

from retrowalk.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m solo VERB` is `solo VERB`."""

import sys

from solo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

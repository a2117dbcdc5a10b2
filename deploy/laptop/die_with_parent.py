"""`python -m deploy.laptop.die_with_parent PARENT COMMAND…`: becomes COMMAND, which dies when PARENT does.

PARENT is the process id of whoever starts this. Only Linux can: elsewhere COMMAND survives a kill -9 of it.
"""

from __future__ import annotations

import os
import sys

from shared.die_with_parent import die_with_parent


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    die_with_parent()
    if os.getppid() != parent:  # it died before it could be watched
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

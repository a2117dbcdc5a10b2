"""Where `tuneloop` begins: Ctrl-C leaves quietly from the first moment on, while modules are imported."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        from deploy.cli import app

        app()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

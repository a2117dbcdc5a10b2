"""What services share. `VERSION` is the code's: pyproject.toml and migrations take it from here."""

VERSION = "0.2.0"

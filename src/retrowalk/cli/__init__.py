"""The command line. Each verb imports what it needs inside its body, so that help costs nothing."""

from retrowalk.cli.app import main

__all__ = ["main"]

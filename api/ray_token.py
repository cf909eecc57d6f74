"""A token for the Ray that a command starts on this machine: its ports are open to the network."""

import os
import secrets
import sys


def require_ray_token() -> None:
    """Let only holders of a token talk to a Ray started by this process; a setting of the user's is kept.

    Ray reads these variables when it is imported, so that it must not have been yet.
    """
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

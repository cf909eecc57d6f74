"""Ray's own variables, which it reads when it is imported: who may talk to it, and on which addresses it listens."""

import os
import secrets
import sys
from pathlib import Path

from api.settings import Settings

TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
ADDRESS_VARIABLES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Where they are set, Ray prefers them to the address that it is given."""
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes a Ray of the loopback interface alone, with every port (measured; ``ray start --node-ip-address`` does not)."""


def require_ray_token() -> None:
    """Let only holders of a token, of this machine, talk to a Ray started by this process; a user's setting is kept."""
    if "ray" not in sys.modules:
        _stay_on_loopback()
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def use_local_ray(settings: Settings) -> None:
    """Use the Ray of this home, with the token that it keeps, or the one that the user has set."""
    use_given_ray()
    _stay_on_loopback()
    if not any(os.environ.get(name) for name in TOKEN_VARIABLES):
        _make_token(settings.ray_token_file)
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(settings.ray_token_file)


def use_given_ray() -> None:
    """Use the Ray whose address is given to its client, with a token unless the user has switched that off."""
    for name in ADDRESS_VARIABLES:
        os.environ.pop(name, None)
    os.environ.setdefault("RAY_AUTH_MODE", "token")


def _stay_on_loopback() -> None:
    for name, value in LOOPBACK_ONLY.items():
        os.environ.setdefault(name, value)


def _make_token(path: Path) -> None:
    """Make sure that the file with the token exists, for this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))

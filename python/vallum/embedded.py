"""The configuration of `vallum run` without a file: safe as it is, and enough to try things out.

Loopback only. Every client needs a token that is signed with a secret of this machine and whose
`sub` is its client identifier. The secret is made on first use and kept in the data directory, in a
file that only its owner can read; one that others could have read or replaced is refused.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vallum.config import Config, load
from vallum.config.models import bind_of
from vallum.errors import ConfigError, VallumError

SECRET_NAME = "jwt.secret"  # noqa: S105 - the name of a file
SECRET_BYTES = 48
"""Random bytes in the secret; RFC 7518 section 3.2 asks for 32 at least with HS256."""

_HEAD = """\
listeners.tcp.default.bind = "127.0.0.1:1883"
mqtt {
  # One machine, one user: let bursts through that a shared broker would cut off.
  max_mqueue_len = 100000
  max_inflight = 1000
}
authorization {
  no_match = deny
  sources = [{
    type = file
    rules = \"\"\"
{deny, all, all, ["$SYS/#"]}.
{allow, all, all, ["#"]}.
\"\"\"
  }]
}
"""
_TOKENS = """\
authentication = [{
  mechanism = jwt
  algorithm = hmac-based
  from = password
  secret = %s
  verify_claims { sub = "${clientid}" }
}]
"""
_ANONYMOUS = "listeners.tcp.default.enable_authn = false\n"


def default_data_dir(env: Mapping[str, str] | None = None) -> Path:
    """Where state is kept if nobody says: `$XDG_DATA_HOME/vallum`, or `~/.local/share/vallum`."""
    home = (os.environ if env is None else env).get("XDG_DATA_HOME", "")
    # A relative path is invalid and ignored (XDG Base Directory Specification, "Basics").
    base = Path(home) if os.path.isabs(home) else Path("~/.local/share").expanduser()
    return base / "vallum"


def secret_file(data_dir: Path) -> Path:
    """Where the secret of a data directory is."""
    return Path(os.path.abspath(data_dir)) / SECRET_NAME


def config(data_dir: Path) -> Config:
    """The configuration with the secret that is in the data directory.

    Raises:
        ConfigError: there is no secret, it cannot be trusted, or an environment variable is wrong.
    """
    read_secret(data_dir)
    return _with_secret(f"file://{secret_file(data_dir)}")


def draft() -> Config:
    """The configuration with a secret that nobody knows: for looking at, not for running.

    Raises:
        ConfigError: an environment variable is wrong.
    """
    return _with_secret(secrets.token_urlsafe(SECRET_BYTES))


def anonymous_config() -> Config:
    """The configuration that lets every client of this machine in, whoever it is.

    Raises:
        ConfigError: an environment variable is wrong, or moves a listener away from loopback.
    """
    config = load(text=_HEAD + _ANONYMOUS)
    for kind, name, listener in config.enabled_listeners():
        bind = bind_of(kind, name, listener)
        if bind is not None and bind.host and not ipaddress.ip_address(bind.host).is_loopback:
            problem = f"{bind.host} can be reached from elsewhere; --anonymous is for loopback only"
            raise config.error([(f"listeners.{kind}.{name}.bind", problem)])
    return config


def _with_secret(secret: str) -> Config:
    return load(text=_HEAD + _TOKENS % json.dumps(secret))


def ensure_secret(data_dir: Path) -> Path:
    """Make the data directory and the secret in it, unless they are there; the secret's file.

    Raises:
        ConfigError: they cannot be made, or what is there cannot be trusted.
    """
    file = secret_file(data_dir)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            _check_directory(file.parent)
            _create(file, secrets.token_urlsafe(SECRET_BYTES))
    except OSError as error:
        raise _fault(file.parent, f"cannot be used as data directory: {error.strerror}") from None
    read_secret(data_dir)
    return file


def read_secret(data_dir: Path) -> str:
    """The secret of a data directory.

    Raises:
        ConfigError: there is none, or others could have read or replaced it.
    """
    file = secret_file(data_dir)
    try:
        _check_directory(file.parent)
        # O_NONBLOCK: opening a pipe that somebody put there must not wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise _fault(
            file, "no secret here yet: `vallum run` makes one on its first start"
        ) from None
    except OSError as error:
        raise _fault(file, f"cannot be read: {error.strerror}") from None
    with open(descriptor, encoding="ascii", errors="replace") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _fault(file, "not a regular file")
        if status.st_uid not in (os.geteuid(), 0):
            raise _fault(file, "belongs to another user")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise _fault(
                file,
                f"others may read or write it (mode {mode:04o}): remove it, and a new one is made;"
                " tokens signed with it are void then",
            )
        secret = stream.read().rstrip()
    if not secret:
        raise _fault(file, "empty: remove it, and a new one is made")
    return secret


def _check_directory(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise _fault(directory, "the data directory belongs to another user")
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        problem = f"others may write in the data directory (mode {mode:04o}): chmod 700 it"
        raise _fault(directory, problem)


def _create(file: Path, text: str) -> None:
    """Write a new file as a whole, or leave the one another process made meanwhile."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with open(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{text}\n")
            stream.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, file)  # unlike a rename, never replaces
        except FileExistsError:
            return
    finally:
        os.unlink(draft)
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _fault(path: Path, problem: str) -> VallumError:
    return ConfigError.of("", problem, origin=str(path))

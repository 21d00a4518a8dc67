"""A secret of the configuration: never shown, read when it is used."""

from __future__ import annotations

from pathlib import Path

from vallum.config.hocon.source import read_bytes

_MAX_SECRET_BYTES = 1024 * 1024
"""Bytes read from a `file://` secret; the largest in use are certificate bundles."""


class Secret:
    """Shared key or password, given in the text or as `file://PATH`.

    `repr` and `str` show `******`, or the reference to the file, which is no secret.
    """

    __slots__ = ("_path", "_text")

    def __init__(self, text: str, path: Path | None = None) -> None:
        self._text = text
        self._path = path

    def reveal(self) -> str:
        """The secret itself; a file is read now, trailing white space removed.

        Raises:
            OSError: the file cannot be read, or is not text; the message names it.
        """
        if self._path is None:
            return self._text
        data = read_bytes(self._path, _MAX_SECRET_BYTES)
        if isinstance(data, str):
            raise OSError(f"cannot read {self._path}: {data}")
        try:
            return data.decode().rstrip()
        except UnicodeDecodeError:
            raise OSError(f"cannot read {self._path}: not UTF-8 text") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._text, self._path) == (other._text, other._path)

    def __hash__(self) -> int:
        return hash((self._text, self._path))

    def __repr__(self) -> str:
        return self._text if self._path is not None else "******"

"""One folder, out of which nothing is read: not by `..`, not by an absolute path, not through a symbolic link."""

from __future__ import annotations

from pathlib import Path

from verifier.load import MAX_BYTES, ContractError


class Folder:
    """A folder whose files may be read, and no others."""

    def __init__(self, path: Path) -> None:
        self._root = path.resolve()

    def files(self, suffixes: tuple[str, ...]) -> list[str]:
        """Return the files below the folder that end so, in order."""
        found = (path for path in self._root.rglob("*") if path.name.endswith(suffixes) and path.is_file())
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file below the folder.  Raises ContractError where there is none."""
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root):
                raise ContractError("the file is outside of the folder", found=name, fix="copy it into the folder")
            if not path.is_file():
                raise ContractError("there is no such file", found=name)
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError, RuntimeError) as error:
            raise ContractError("the file cannot be read", found=name) from error
        if len(data) > MAX_BYTES:
            raise ContractError("the file is too large", found=name, wanted=f"at most {MAX_BYTES} bytes")
        return data

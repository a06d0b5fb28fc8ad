"""A store in a folder, which stays open while the store in it is read or written.

Every name is looked up relative to a handle of the folder that was opened, so that bytes never reach another
store that takes its place under the same path.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from retrowalk.errors import InputError, RetrowalkError, RunError
from retrowalk.store import format as names

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
#: Whether names can be looked up relative to an open folder (not on Windows).
_RELATIVE = {os.open, os.stat, os.unlink, os.rename, os.mkdir} <= os.supports_dir_fd
_MANIFEST = f"{names.OWN}/{names.MANIFEST}.jsonl"
#: The only folders inside a folder of a store.
_INNER = f"{names.OWN}/{names.BLOCKS}", f"{names.OWN}/{names.GROUPS}"


class LostStoreError(RunError):
    """The store that a writer opened is not there any more, or belongs to another writer."""


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file system could hold: with a NUL character, or with a name that is too long."""
    text = os.fspath(path)
    if "\0" in text:
        raise InputError(f"{text.replace(chr(0), '?')[:60]}: a path cannot hold the character NUL")
    for part in Path(text).parts:
        if len(os.fsencode(part)) > names.MAX_NAME:
            raise InputError(
                f"{part[:40]}...: a name of {len(part)} characters is too long; use fewer than 200"
            )
    if len(os.fsencode(text)) > 3000:
        raise InputError(f"{text[:40]}...: a path of {len(text)} characters is too long")


class Folder:
    """An open folder. Its operations on files by name are those of `retrowalk.store.bucket.Bucket` too.

    Reading what is not there raises FileNotFoundError.
    """

    #: Folder of the records of this very store.
    own = names.OWN

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
        self._handle = os.open(path, flags) if _RELATIVE else None
        if self._handle is None and not path.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def __str__(self) -> str:
        return str(self.path)

    def __reduce__(self) -> tuple[type[Folder], tuple[Path]]:
        return Folder, (self.path,)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let the folder go."""
        handle = getattr(self, "_handle", None)
        if handle is not None:
            self._handle = None
            os.close(handle)

    def adopt(self, store: str) -> None:
        """Nothing to do: the open folder is the identity of the store."""

    def check(self) -> None:
        """Raise `LostStoreError` when the path does not lead to the folder that was opened by now."""
        try:
            found = os.stat(self.path)  # noqa: PTH116  beside fstat
            same = self._handle is None or os.path.samestat(found, os.fstat(self._handle))
        except OSError:
            same = False
        if not same:
            raise LostStoreError(
                f"{self.path}: the store was moved, removed or replaced while it was being written; nothing "
                "more is written to it"
            )

    def at(self, key: str) -> tuple[str, int | None]:
        """A name and the handle that it is relative to."""
        if not _RELATIVE:
            return str(self.path / key), None
        if self._handle is None:
            # Without a handle the name would be looked up in the working directory.
            raise ValueError(f"{self.path}: this folder is closed")
        return key, self._handle

    def open(self, key: str, flags: int) -> int:
        """Open a file, never through a link."""
        name, handle = self.at(key)
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        return os.open(name, flags, 0o644, dir_fd=handle)

    def open_own(self, key: str, flags: int) -> int:
        """Open a file of ours to change it in place, unless a second name or a link leads to it too."""
        try:
            handle = self.open(key, flags)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise InputError(
                    f"{self.path / key}: a symbolic link inside a store is never followed"
                ) from None
            raise
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            os.close(handle)
            raise InputError(
                f"{self.path / key}: has {status.st_nlink} names (hard links), and writing would change them "
                "all; remove the others, or copy the store with `cp -r`"
            )
        return handle

    def size(self, key: str) -> int | None:
        """Bytes of a file; None when it is not there."""
        name, handle = self.at(key)
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            return status.st_size if stat.S_ISREG(status.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """Some bytes of a file, or all."""
        with os.fdopen(self.open(key, os.O_RDONLY), "rb", buffering=0) as file:
            if start:
                file.seek(start)
            return (file.read() if size is None else file.read(size)) or b""

    def read_many(self, ranges: Iterable[tuple[str, int, int]]) -> Iterator[bytes]:
        """Several (file, start, size) in order."""
        return (self.read(*one) for one in ranges)

    def entries(self, folder: str) -> list[str]:
        """Names of what lies directly in a folder."""
        return sorted(name for name, _ in self._entries(folder))

    def put(self, key: str, pieces: Iterable[bytes], check: Callable[[], None] | None = None) -> None:
        """Write a file that is whole and durable, or not there: a rename is durable once its folder is."""
        partial = f"{key}.{uuid.uuid4().hex}{names.PARTIAL}"
        try:
            with os.fdopen(self.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            self.rename(partial, key)
        except BaseException:
            # On a disk that refuses even that, the next writer removes it.
            with suppress(OSError):
                self.remove([partial])
            raise
        self.sync(os.path.dirname(key))  # noqa: PTH120  a name inside the store, not a path

    def overwrite(self, key: str, data: bytes) -> None:
        """Write a file on which no result depends."""
        self.put(key, [data])

    def rename(self, old: str, new: str) -> None:
        """Rename a file inside the folder."""
        (first, handle), (second, _) = self.at(old), self.at(new)
        if handle is None:
            Path(first).replace(second)
        else:
            os.rename(first, second, src_dir_fd=handle, dst_dir_fd=handle)

    def sync(self, folder: str = "") -> None:
        """Make new names in a folder durable."""
        sync_folder(*self.at(folder or "."))

    def prepare(self, folders: Iterable[str], waiting: bytes) -> None:
        """Make the folders of a new store, and its manifest."""
        for folder in (*filter(None, folders), *_INNER):
            name, handle = self.at(folder)
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=handle)
        self.put(_MANIFEST, [b""])
        self.sync()

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; those that are not there do not matter."""
        for key in keys:
            name, handle = self.at(key)
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(name, dir_fd=handle)

    def read_log(self, limit: int) -> dict[int, bytes]:
        """Whole lines of the manifest; what follows the last line end is torn."""
        size = self.size(_MANIFEST)
        if size is None:
            return {}
        if size > limit:
            raise InputError(
                f"{self.path / _MANIFEST}: a manifest of {size >> 20} MiB is not one of this store"
            )
        return dict(enumerate(self.read(_MANIFEST).split(b"\n")[:-1]))

    def append_log(self, number: int, line: bytes) -> None:
        """Add a line to the manifest, flushed."""
        handle = self.open_own(_MANIFEST, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(handle, "ab", buffering=0) as file:
            start = os.fstat(handle).st_size
            try:
                whole = line + b"\n"
                while whole:
                    whole = whole[file.write(whole) or 0 :]
                os.fsync(handle)
            except OSError:
                # Half a line would swallow the next one.
                with suppress(OSError):
                    os.ftruncate(handle, start)
                raise

    def change_log(self, lines: Mapping[int, bytes], added: set[int], removed: set[int]) -> None:
        """Write the manifest again."""
        self.put(_MANIFEST, [lines[number] + b"\n" for number in sorted(lines)])

    def publish(self, key: str, data: bytes, waiting: bytes) -> None:
        """Write a description; before there is none."""
        self.put(key, [data])

    def withhold(self, key: str, waiting: bytes) -> None:
        """Remove a description, durably."""
        if self.size(key) is not None:
            self.remove([key])
            self.sync(os.path.dirname(key))  # noqa: PTH120  a name inside the store, not a path

    def check_tree(self) -> None:
        """Refuse links, devices, deep folders and absurd numbers of entries."""
        left, folders = names.MAX_ENTRIES + 1000, [""]
        while folders:
            folder = folders.pop()
            for name, status in self._entries(folder):
                left -= 1
                key = f"{folder}/{name}" if folder else name
                if stat.S_ISLNK(status.st_mode):
                    raise InputError(
                        f"{self.path / key}: a symbolic link inside a store is never followed; remove it"
                    )
                if stat.S_ISDIR(status.st_mode) and (not folder or key in _INNER):
                    folders.append(key)
                elif not stat.S_ISREG(status.st_mode):
                    raise InputError(f"{self.path / key}: this has no place in a retrowalk store")
                if status.st_size > names.MAX_FILE:
                    size = status.st_size >> 30
                    raise InputError(f"{self.path / key}: a file of {size} GiB is not one of retrowalk's")
                if left < 0:
                    raise InputError(
                        f"{self.path}: more than {names.MAX_ENTRIES} files are no retrowalk store"
                    )

    @contextmanager
    def errors(self, action: str = "written") -> Iterator[None]:
        """Turn what the system says into one sentence, or say that the store is lost."""
        try:
            with saying(self.path, action):
                yield
        except RunError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                self.check()
            raise

    def _entries(self, folder: str) -> list[tuple[str, os.stat_result]]:
        found = []
        with suppress(FileNotFoundError, NotADirectoryError), ExitStack() as stack:
            opened: int | str = str(self.path / folder)
            if _RELATIVE:
                opened = self.open(folder or ".", os.O_RDONLY)
                stack.callback(os.close, opened)
            with os.scandir(opened) as entries:
                for entry in entries:
                    # The writer of a living store may rename it just now.
                    with suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat(follow_symlinks=False)))
        return found


@contextmanager
def saying(path: Path | str, action: str = "written") -> Iterator[None]:
    """Turn what the operating system says about a full, read-only or failing disk into one sentence."""
    try:
        yield
    except RetrowalkError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            sentence = (
                "the disk or quota is full; free some space and give the same command again "
                "(what is finished is kept)"
            )
        elif error.errno in _FORBIDDEN:
            sentence = f"cannot be {action} (read-only disk or no permission); choose another place"
        else:
            reason = str(error).splitlines()[0] if error.errno is None else os.strerror(error.errno)
            sentence = f"could not be {action}: {reason}"
        raise RunError(f"{path}: {sentence}") from error


def discard(path: Path) -> None:
    """Remove a file that failed, if the disk lets us."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def sync_folder(path: Path | str, handle: int | None = None) -> None:
    """Make new names in a folder durable, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    opened = os.open(path, os.O_RDONLY, dir_fd=handle)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

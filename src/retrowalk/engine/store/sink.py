"""A file that never tells its writer of a failing disk, only the one who asks afterwards."""

from __future__ import annotations

import io
import os
from pathlib import Path


class Sink(io.RawIOBase):
    """What HDF5 writes to.

    When a write to a full disk fails, the HDF5 library may take the whole process down (a segmentation
    fault while it cleans up), so it must not hear of it: after the first failure everything is accepted
    and thrown away, and `finish` raises that failure.

    Parameters
    ----------
    path : Path
        File to create; it must not exist.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("xb+", buffering=0)
        self._position = 0
        self._failure: OSError | None = None

    def finish(self) -> None:
        """Flush to the disk and close.

        Raises
        ------
        OSError
            The first failure of any write.
        """
        try:
            if self._failure is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
            super().close()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stay open for `finish`: libraries close what they are given."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move, without touching the disk except to ask for the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        self._position = offset + (base[whence] if whence in base else os.fstat(self._file.fileno()).st_size)
        return self._position

    def write(self, data: object, /) -> int:
        """Write everything, or remember why not."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # any buffer, as in the base class
        if self._failure is None:
            try:
                self._write(view)
            except OSError as error:
                self._failure = error
        self._position += view.nbytes
        return view.nbytes

    def readinto(self, buffer: object, /) -> int:
        """Read back; zeros where nothing was written."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any buffer, as in the base class
        count = 0
        if self._failure is None:
            self._file.seek(self._position)
            count = self._file.readinto(view) or 0
        view[count:] = bytes(view.nbytes - count)
        self._position += view.nbytes
        return view.nbytes

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or extend the file."""
        size = self._position if size is None else size
        if self._failure is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self._failure = error
        return size

    def _write(self, view: memoryview) -> None:
        self._file.seek(self._position)
        while view:
            view = view[self._file.write(view) or 0 :]

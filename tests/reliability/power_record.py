"""Record what SQLite really writes and syncs, so that a power cut can be played at any point of it.

The very SQLite that Python's `sqlite3` uses is watched (not one that another package brings along):
a VFS is registered there that is the usual one for Unix, with the calls that change a file noted in
passing. Everything else is mailflow's own: its engine, its pragmas, its transactions.
"""

import _sqlite3
import ctypes
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path

OK = 0
CREATE = 0x4  # SQLITE_OPEN_CREATE
RECORDED = 0x100 | 0x800 | 0x4000 | 0x80000  # main database, journal, super-journal, WAL

OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
CLOSE = CFUNCTYPE(c_int, c_void_p)
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
SET_CALL = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
GET_CALL = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
OPEN_DIRECTORY = CFUNCTYPE(c_int, c_void_p, c_void_p)


class Vfs(Structure):
    """`sqlite3_vfs`, version 3. Source: https://sqlite.org/c3ref/vfs.html"""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", OPEN),
        ("delete", DELETE),
        *((name, c_void_p) for name in ("access", "full_path", "dl_open", "dl_error", "dl_sym")),
        *((name, c_void_p) for name in ("dl_close", "randomness", "sleep", "time", "last_error")),
        ("time_64", c_void_p),
        ("set_call", SET_CALL),
        ("get_call", GET_CALL),
        ("next_call", c_void_p),
    )


class Methods(Structure):
    """`sqlite3_io_methods`, version 3. Source: https://sqlite.org/c3ref/io_methods.html"""

    _fields_ = (
        ("version", c_int),
        ("close", CLOSE),
        ("read", c_void_p),
        ("write", WRITE),
        ("truncate", TRUNCATE),
        ("sync", SYNC),
        *((name, c_void_p) for name in ("size", "lock", "unlock", "is_reserved", "control")),
        *((name, c_void_p) for name in ("sector_size", "device", "shm_map", "shm_lock")),
        *((name, c_void_p) for name in ("shm_barrier", "shm_unmap", "fetch", "unfetch")),
    )


@dataclass(frozen=True, slots=True)
class Create:
    """A new file, `number` from now on. It lasts once its folder is synced."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A name is gone. That lasts once the folder is synced."""

    name: str


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written to the file `number`. They last once it is synced."""

    number: int
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Truncate:
    """The file `number` cut to `size` bytes. That lasts once it is synced."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """The file `number` was synced."""

    number: int


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """The folder was synced: names that were made or removed last."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the world outside the disk saw, such as a commit that returned."""

    kind: str
    value: object = field(repr=False, default=None)


Step = Create | Delete | Write | Truncate | Sync | SyncFolder | Mark


@dataclass
class Record:
    """The files that were there at first, all of it on disk, and each step since."""

    start: dict[str, bytes]
    steps: list[Step] = field(default_factory=list)

    def mark(self, kind: str, value: object = None) -> None:
        """Note that something was seen from outside. Safe from any thread."""
        self.steps.append(Mark(kind, value))


def find_library() -> ctypes.CDLL:
    """Return the SQLite library of `sqlite3`. Raises RuntimeError where it cannot be reached."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))  # no file: built into Python
    try:
        library.sqlite3_libversion.restype = c_char_p
        version = library.sqlite3_libversion().decode()
    except AttributeError as error:
        raise RuntimeError("Python's own SQLite hides its functions") from error
    if version != sqlite3.sqlite_version:
        raise RuntimeError(f"found SQLite {version}, not {sqlite3.sqlite_version}")
    library.sqlite3_vfs_find.restype = POINTER(Vfs)
    return library


@contextmanager
def recording(folder: Path) -> Iterator[Record]:
    """Record what SQLite does to the databases in `folder`, in this process, on any thread."""
    folder = folder.resolve()
    files = (each for each in folder.glob("*.db*") if not each.name.endswith("-shm"))
    record = Record({each.name: each.read_bytes() for each in sorted(files)})
    recorder = _Recorder(folder, record)
    recorder.start()
    try:
        yield record
    finally:
        recorder.stop()


_kept: list["_Recorder"] = []  # SQLite calls back until the last connection is closed: never freed


class _Recorder:
    """The VFS: each call goes on to the usual one; if that succeeds, it is noted."""

    def __init__(self, folder: Path, record: Record) -> None:
        self._folder = folder
        self._record = record
        self._library = find_library()
        self._usual = self._library.sqlite3_vfs_find(b"unix")
        self._lock = threading.RLock()
        self._numbers = {name: number for number, name in enumerate(record.start)}
        self._next = len(self._numbers)
        self._open_files: dict[int, tuple[int, Methods]] = {}  # by address: number, usual calls
        self._patched: dict[int, Methods] = {}  # by the address of the usual calls
        self._folder_was_synced = False
        self._vfs = Vfs.from_buffer_copy(self._usual.contents)
        self._vfs.name = b"recorded"
        self._vfs.open = OPEN(self._open)
        self._vfs.delete = DELETE(self._delete)
        usual = self._usual.contents.get_call(self._usual, b"openDirectory")
        self._usual_open_directory = OPEN_DIRECTORY(usual)
        self._open_directory_callback = OPEN_DIRECTORY(self._open_directory)
        self._calls = {
            "close": CLOSE(self._close),
            "write": WRITE(self._write),
            "truncate": TRUNCATE(self._truncate),
            "sync": SYNC(self._sync),
        }
        _kept.append(self)

    def start(self) -> None:
        """Make this the VFS of every connection that is opened from now on."""
        callback = ctypes.cast(self._open_directory_callback, c_void_p)
        self._usual.contents.set_call(self._usual, b"openDirectory", callback)
        self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)

    def stop(self) -> None:
        """Give the usual VFS its place back."""
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))
        self._library.sqlite3_vfs_register(self._usual, 1)
        self._usual.contents.set_call(self._usual, b"openDirectory", None)
        self._record = Record({})  # the recorder itself has to stay, but not what it recorded

    def _open(self, vfs: int, path: int, file: int, flags: int, out_flags: int) -> int:
        with self._lock:
            name = self._name(path) if flags & RECORDED else None
            existed = name is not None and (self._folder / name).exists()
            code: int = self._usual.contents.open(vfs, path, file, flags, out_flags)
            if code != OK or name is None:
                return code
            if not existed and flags & CREATE:
                self._numbers[name] = self._next
                self._record.steps.append(Create(name, self._next))
                self._next += 1
            methods = c_void_p.from_address(file)
            usual = Methods.from_address(methods.value or 0)
            self._open_files[file] = (self._numbers[name], usual)
            methods.value = ctypes.addressof(self._patch(usual))
            return code

    def _patch(self, usual: Methods) -> Methods:
        address = ctypes.addressof(usual)
        if address not in self._patched:
            patched = Methods.from_buffer_copy(usual)
            for name, call in self._calls.items():
                setattr(patched, name, call)
            self._patched[address] = patched
        return self._patched[address]

    def _name(self, path: int | None) -> str | None:
        """Return the file's name in the folder, or None for temporary and other files."""
        if not path:
            return None
        found = Path(ctypes.string_at(path).decode())
        return found.name if found.parent == self._folder else None

    def _delete(self, vfs: int, path: int, sync_folder: int) -> int:
        with self._lock:
            code: int = self._usual.contents.delete(vfs, path, sync_folder)
            name = self._name(path)
            if code == OK and name in self._numbers:
                del self._numbers[name]
                self._record.steps.append(Delete(name))
            self._note_synced_folder()
            return code

    def _close(self, file: int) -> int:
        with self._lock:
            _, usual = self._open_files.pop(file)
            return usual.close(file)

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        with self._lock:
            number, usual = self._open_files[file]
            code: int = usual.write(file, data, size, offset)
            if code == OK:
                self._record.steps.append(Write(number, offset, ctypes.string_at(data, size)))
            return code

    def _truncate(self, file: int, size: int) -> int:
        with self._lock:
            number, usual = self._open_files[file]
            code: int = usual.truncate(file, size)
            if code == OK:
                self._record.steps.append(Truncate(number, size))
            return code

    def _sync(self, file: int, flags: int) -> int:
        with self._lock:
            number, usual = self._open_files[file]
            code: int = usual.sync(file, flags)
            if code == OK:
                self._record.steps.append(Sync(number))
            self._note_synced_folder()
            return code

    def _open_directory(self, path: int, out: int) -> int:
        """SQLite opens a folder for one thing only: to sync it."""
        with self._lock:
            self._folder_was_synced |= self._name(path) is not None
            return self._usual_open_directory(path, out)

    def _note_synced_folder(self) -> None:
        if self._folder_was_synced:
            self._record.steps.append(SyncFolder())
            self._folder_was_synced = False

"""Read `config.toml` into one frozen, validated value; refuse to start on anything doubtful."""

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mailflow.errors import ConfigError
from mailflow.settings import Config, Database, Files, Server


def load_config(path: Path) -> Config:
    """Read and check `path`.

    Raises ConfigError naming the file, the key, what was expected and how to mend it.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file; make one with `mailflow init`, or name it with -c"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    try:
        if "path" in data:
            raise ConfigError(f"{path}: path: unknown key; it is mailflow that sets it, remove it")
        config = Config.model_validate({**data, "path": path.resolve()})
    except ValidationError as error:
        lines = explain(Config, error, " (config.example.toml explains each key)")
        raise ConfigError("\n".join(f"{path}: {line}" for line in lines)) from error
    return with_absolute_paths(config)


def with_absolute_paths(config: Config) -> Config:
    """Return `config` with every path in it taken from the folder of its file."""
    folder = config.path.parent
    files = Files.model_validate(
        {
            name: None if value is None else folder / value
            for name, value in config.files.model_dump().items()
        }
    )
    url = config.database.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        relative = url.removeprefix("sqlite:///")
        if relative and relative != ":memory:":
            url = f"sqlite:///{folder / relative}"
    changes: dict[str, Any] = {"files": files, "database": Database(url=url)}
    for name in ("imap", "smtp", "journal"):
        server: Server | None = getattr(config, name)
        if server is not None:
            paths = {
                key: str(folder / value)
                for key in ("password_file", "ca_file")
                if (value := getattr(server, key)) is not None
            }
            changes[name] = server.model_copy(update=paths)
    return config.model_copy(update=changes)


def explain(model: type[BaseModel], error: ValidationError, hint: str = "") -> list[str]:
    """Turn pydantic's report on `model` into one line for each mistake, with the mend."""
    lines = []
    for mistake in error.errors():
        keys = [str(part) for part in mistake["loc"]]
        name = ".".join(keys) or "the file"
        if mistake["type"] == "extra_forbidden":
            known = _known_keys(model, keys[:-1])
            close = difflib.get_close_matches(keys[-1], known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
            lines.append(f"{name}: unknown key; {mend}")
        elif mistake["type"] == "missing":
            lines.append(f"{name}: is missing; add it{hint}")
        elif mistake["type"] == "model_type":
            lines.append(f"{name}: expected a table, such as [{name}] and its keys below")
        else:
            found = mistake.get("input")
            shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
            message = mistake["msg"].removeprefix("Value error, ")
            lines.append(f"{name}: {message}{shown}")
    return lines


def _known_keys(model: type[BaseModel], section: list[str]) -> list[str]:
    for name in section:
        annotation: Any = model.model_fields[name].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return [name for name in model.model_fields if name != "path"]

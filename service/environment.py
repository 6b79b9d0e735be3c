"""
Where the operator's choices come from. The only module that reads the environment; what they are is in `settings.py`.

One name in three places: `CITEWELL_PORT`, `port` in the settings file, `--port`. The later wins: default, settings
file, environment, command line.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from service.errors import SettingsInvalid
from service.settings import ENV_PREFIX, Settings

SETTINGS_FILE_VARIABLE = "CITEWELL_SETTINGS_FILE"
DEFAULT_SETTINGS_FILE = "citewell.toml"
_SHOWN_CHARS = 60
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def _hide(value: object) -> str:
    """Return how a wrong value is shown: nothing of a secret, such as a token that is there in place of its hash."""
    return f"a value of {len(str(value))} characters"


# An address may hold a password where it does not belong.
_NEVER_SHOWN = frozenset({"admin_tokens", "read_tokens", "milvus_token", "milvus_uri"})


def load_settings(flags: Mapping[str, object] | None = None) -> Settings:
    """
    Read settings file, environment and command line.

    Args:
        flags: settings from the command line by field name; None means that the flag was not given.

    Raises:
        SettingsInvalid: an unknown name, or a value that does not fit; names the place, the field and the value.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    path, from_file = _read_settings_file()
    from_env = _read_environment()
    values: dict[str, Any] = {**from_file, **from_env, **given}
    places = {
        **{name: f"{path}, {name}" for name in from_file},
        **{name: f"environment, {ENV_PREFIX}{name.upper()}" for name in from_env},
        **{name: f"command line, --{name.replace('_', '-')}" for name in given},
    }
    try:
        return Settings(**values)
    except ValidationError as error:
        raise _settings_invalid(error, values, places) from error


def _read_settings_file() -> tuple[str, dict[str, Any]]:
    named = os.environ.get(SETTINGS_FILE_VARIABLE)
    path = Path(named or DEFAULT_SETTINGS_FILE)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if not named:
            return str(path), {}
        raise SettingsInvalid(
            "no such file", where=f"{SETTINGS_FILE_VARIABLE}={path}", fix="name a file that exists, or unset it"
        ) from error
    except OSError as error:
        raise SettingsInvalid(
            f"can't be read ({error.strerror})", where=str(path), fix="make it a readable file"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid("is not UTF-8", where=str(path), fix="save it as UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5,000 digits, a thousand brackets
        raise SettingsInvalid(f"is not valid TOML: {error}", where=str(path), fix="mend that line") from error
    for name in values:
        if name not in Settings.model_fields:
            raise _unknown(name, str(path), name)
    return str(path), values


def _read_environment() -> dict[str, Any]:
    """Return the settings among the environment's variables; an unknown CITEWELL_ name is a slip worth stopping for."""
    for variable in sorted(os.environ):
        name = variable.removeprefix(ENV_PREFIX).lower()
        if variable.startswith(ENV_PREFIX) and variable != SETTINGS_FILE_VARIABLE and name not in Settings.model_fields:
            raise _unknown(name, "environment", variable, ENV_PREFIX)
    try:
        return dict(EnvSettingsSource(Settings, env_ignore_empty=True)())
    except ValueError as error:
        raise SettingsInvalid(str(error), where="environment", fix="mend that variable") from error


def _unknown(name: str, place: str, shown: str, prefix: str = "") -> SettingsInvalid:
    near = [prefix + (n.upper() if prefix else n) for n in get_close_matches(name, Settings.model_fields, n=1)]
    known = ", ".join(Settings.model_fields)
    return SettingsInvalid(
        "there is no such setting",
        where=f"{place}, {shown[:_SHOWN_CHARS]}",
        fix=f"did you mean {near[0]}?" if near else f"remove it; the settings are {known}",
    )


def _settings_invalid(error: ValidationError, values: Mapping[str, Any], places: Mapping[str, str]) -> SettingsInvalid:
    """Name the first field that does not fit: mending one often mends the next."""
    first = error.errors(include_url=False)[0]
    expected = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return SettingsInvalid(expected, where="settings", fix="change one of the two")
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _unknown(name, "command line", name)
    field = Settings.model_fields[name]
    shown = _hide(values.get(name)) if name in _NEVER_SHOWN else repr(values.get(name))[:_SHOWN_CHARS]
    return SettingsInvalid(
        f"{shown} does not fit: {expected[:1].lower()}{expected[1:]}",
        where=places.get(name, name),
        fix=f"{name}: {field.description}",
    )


def set_metrics_folder(folder: str | None) -> None:
    """
    Tell prometheus-client, in this process and those that it starts, where processes put their figures together.

    None: they are kept in this process alone. The library takes the folder from the environment, and when it is
    imported; a folder that stands there already belongs to another program.
    """
    os.environ.pop(_METRICS_VARIABLE, None)
    os.environ.pop(_METRICS_VARIABLE.lower(), None)
    if folder is not None:
        os.environ[_METRICS_VARIABLE] = folder

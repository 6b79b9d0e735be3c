"""`citewell token`: a new token, shown once, and what the settings keep of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.commands.output import print_json, print_line, print_note
from service.tokens import new_token


def run_token(days: int | None, *, as_json: bool) -> int:
    """Make a token and print it with its hash; nothing is stored. Returns the exit code."""
    last_day = None if days is None else (datetime.now(UTC) + timedelta(days=days)).date()
    made = new_token(last_day)
    if as_json:
        print_json(
            {"token": made.token, "setting": made.setting, "last_day": last_day.isoformat() if last_day else None}
        )
        return 0
    print_line(f"token    {made.token}")
    print_line(f"setting  {made.setting}")
    print_note(
        "The token is shown this once: give it to whoever is to use it, over a safe way.\n"
        f'The service gets the other line: admin_tokens = ["{made.setting}"] in citewell.toml, or in the environment\n'
        f"CITEWELL_ADMIN_TOKENS={made.setting} (read_tokens for asking and reading alone), then restart it.\n"
        "To change a token without a gap, keep the old hash beside the new one until everybody has changed."
    )
    return 0

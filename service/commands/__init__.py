"""What each command does; `service.cli` declares their arguments. Imported one by one, so that `--help` stays fast."""

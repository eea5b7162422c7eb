"""The `pni-fast` command."""

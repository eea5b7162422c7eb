"""Errors a user can mend: each message is one line that names what is wrong and what is allowed."""

from __future__ import annotations


class PniError(ValueError):
    """Base of every error that the user's input causes; the command prints its message and exits with 1."""


class DataError(PniError):
    """A folder, an image or a mask cannot be used."""


class WeightsError(PniError):
    """A backbone or its weights cannot be found or do not fit."""


class ModelFileError(PniError):
    """A model file is truncated, foreign, or written by a newer version."""

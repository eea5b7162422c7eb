"""The model file: what is in it, held to what a fit could have written."""

from .whole import identity, load, save

__all__ = ["identity", "load", "save"]

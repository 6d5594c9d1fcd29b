"""Importing this module fills the table of recipes."""

from studio.training import gan as gan

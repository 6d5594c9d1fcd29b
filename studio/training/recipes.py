"""Importing this module fills the table of recipes."""

from studio.training import classifier as classifier
from studio.training import dcgan as dcgan
from studio.training import egan as egan
from studio.training import encoder as encoder
from studio.training import gan as gan
from studio.training import meta as meta
from studio.training import sets as sets
from studio.training import stylizer as stylizer
from studio.training import upscaler as upscaler
from studio.training import vae as vae

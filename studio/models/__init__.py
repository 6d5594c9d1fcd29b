"""Generators. Importing the package fills the table of model kinds: one line a kind."""

from studio.models import adapter as adapter
from studio.models import classifier as classifier
from studio.models import dcgan as dcgan
from studio.models import gan as gan
from studio.models import learner as learner
from studio.models import upscaler as upscaler
from studio.models import vae as vae

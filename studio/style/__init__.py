"""Style transfer. Importing the package fills the table of model kinds: one line a kind."""

from studio.style import codes as codes
from studio.style import encoder as encoder
from studio.style import moments as moments
from studio.style import stylizer as stylizer

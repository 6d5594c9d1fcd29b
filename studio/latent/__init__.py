"""Tools that work on z and w and know no architecture; importing it registers the kind of saved directions."""

from studio.latent import named as named

"""Learning to learn, for any nn.Module. Importing the package fills the table of meta-learners."""

from studio.meta import learners as learners

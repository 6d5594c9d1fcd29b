"""Studies: many trainings that differ in one thing, each in its own process, measured alike and reported."""

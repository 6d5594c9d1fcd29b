"""Few-shot adaptation of a generator to an artist's pictures: methods, one step, the job, and what watches over it."""

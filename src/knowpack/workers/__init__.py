"""A study on many processes and machines: local processes, SLURM through submitit, Ray. No engine is written here."""

"""The parts of scripts/build_world.py: packages with data -> drafts of facts -> world.parquet."""

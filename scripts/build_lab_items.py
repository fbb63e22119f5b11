"""Build the items of the lab's benchmarks, src/knowpack/lab/tasks/*.parquet, from its world. Run it as

    PYTHONPATH=src python scripts/build_lab_items.py

Two builds give the same bytes. Needed where the shipped world is another one: a test compares the two.
"""

from knowpack.lab import benchmarks, files

if __name__ == "__main__":
    benchmarks.write(files.world())

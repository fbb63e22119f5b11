"""All that touches torch: load, decode (shared prefix), score, merge, train."""

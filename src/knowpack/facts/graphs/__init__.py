"""Facts out of knowledge graphs: the files that read dumps."""

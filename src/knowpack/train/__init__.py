"""Examples -> adapter."""

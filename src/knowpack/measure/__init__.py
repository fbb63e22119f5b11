"""Answers -> figures: grading, knowledge, shifts, causes, collapse, intervals. One function a figure."""

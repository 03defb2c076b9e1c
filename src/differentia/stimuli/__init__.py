"""Stimuli: named, ordered sets of images, decoded a few at a time."""

"""Scenes to train and to test on."""

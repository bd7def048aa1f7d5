"""Fuzzing of the scrubber and its verifier: see ``target`` for the property, ``run`` for the command."""

"""System calls that Python's ``os`` doesn't offer, by ctypes: prctl, Landlock, seccomp, locked pages.

Mechanism only. What is allowed to whom is said by ``mesh.lockdown`` (services) and ``mesh.isolation`` (decoders).
"""

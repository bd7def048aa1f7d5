"""The controls that a process applies to itself before it handles a photo, and before it has a second thread.

``needs`` says what a service may still do; ``locking.apply`` forbids the rest: inherited descriptors (``descriptors``),
limits, swap, files and ports (``confinement``: Landlock), system calls (``filters``: seccomp). Each control is read
back from the kernel (``probes``): what is reported is what is in force, not what was asked for. docs/lockdown.md has
the table of what stops what.
"""

"""Runs a function over untrusted bytes in a process that can do nothing else.

It has never heard of photos. ``workers.Workers`` is the parent's side; a *template* process (``template``) is exec'd
once, imports the function's module, locks itself down and forks one child for each job (``child``), which locks itself
further, reads its input, answers and dies. docs/decisions/0006-isolated-decoders.md has the why.
"""

"""How each alert is fired: ``table.py``."""

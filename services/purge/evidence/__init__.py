"""The evidence page: what this replica of purge can show of its photos, to somebody who has never seen it.

``watch`` looks once a second, in the event loop; ``view`` renders what it saw; ``app`` serves that from the ops
server's threads. Nothing here holds a photo, or anything that says whose it was (R7).
"""

"""`python -m services.purge.rotate KEY_DIR receipts|log`: a new key in the place of the old one.

Purge takes it into use at its next start, or at once when it gets a SIGHUP. The old private key is gone then; its
public half stays in the list of keys that purge serves.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mesh.errors import ConfigError
from mesh.transparency.dsse import key_id
from services.purge.signing import LOG_FILE, RECEIPTS_FILE, replace_private

_FILES = {"receipts": RECEIPTS_FILE, "log": LOG_FILE}


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[1] not in _FILES:
        print("usage: python -m services.purge.rotate KEY_DIR receipts|log", file=sys.stderr)  # noqa: T201
        return 64  # sysexits.h: EX_USAGE
    path = Path(arguments[0]) / _FILES[arguments[1]]
    try:
        if not path.is_file():
            raise ConfigError(f"There is no {path}: a key that an agent keeps is replaced in its .pub file.")
        key = replace_private(path)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 78  # EX_CONFIG
    print(f"{path} is now the key {key_id(key)}; send purge a SIGHUP, or restart it.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

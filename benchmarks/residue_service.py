"""The usual way to do it, for comparison: a photo comes in by a form, loses its metadata, and goes out as a thumbnail.

FastAPI, python-multipart and Pillow, as their documentation shows; nothing is done about memory.
An audit hook writes down which files are opened for writing, one a line, to the descriptor FILES.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

from fastapi import FastAPI, UploadFile
from fastapi.responses import Response
from PIL import Image

SIDE = 1024  # px, the longer one
_FILES = int(os.environ["FILES"])
_WRITE = os.O_WRONLY | os.O_RDWR


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITE and arguments[0] != "/dev/null":
        os.write(_FILES, f"{arguments[0]}\n".encode())  # a folder: a file in it that has no name (O_TMPFILE)


app = FastAPI()
sys.addaudithook(_watch)


@app.post("/thumbnail")
def thumbnail(photo: Annotated[UploadFile, "the form's field"]) -> Response:
    with Image.open(photo.file) as image:
        flat = image.convert("RGB")
    flat.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    flat.save(out, "JPEG", quality=85)
    return Response(out.getvalue(), media_type="image/jpeg")

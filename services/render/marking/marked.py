"""An engine whose pictures say what they are: the last thing that happens to a picture before it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.render.catalogue import Catalogue
from services.render.engines.base import Engine
from services.render.marking import source_type, xmp
from services.render.marking.credentials import Credentials
from services.render.picture import Cancelled, Job, Picture, Progress


class Marked:
    """An ``Engine``. The watermark is in the pixels already (the step of that name); this adds what a file can carry.

    marked: told the kind of each scene that was marked.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        catalogue: Catalogue,
        credentials: Credentials,
        marked: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._credentials = credentials
        self._marked = marked
        self.name = engine.name
        self.processors = engine.processors

    def start(self) -> None:
        self._engine.start()

    def ready(self) -> bool:
        return self._engine.ready()

    def render(self, job: Job, progress: Progress, cancelled: Cancelled) -> Picture:
        """No picture leaves without its marks: what goes wrong with them goes wrong with the render."""
        picture = self._engine.render(job, progress, cancelled)
        kind = self._catalogue.get(job.scene_id).kind
        made = source_type.of(kind, self.name)
        data = self._credentials.sign(xmp.marked(picture.data, made), made)
        self._marked(kind)
        return replace(picture, data=data)

    def close(self) -> None:
        self._engine.close()

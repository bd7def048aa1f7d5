"""The engine for a local GPU or CPU, with models that are a thousandth of a real one's size and know nothing."""

import pytest

from services.render.engines.diffusers import libraries

needs_the_extra = pytest.mark.skipif(
    not libraries.are_installed(), reason="takes an extra: pip install -c constraints.txt -e '.[diffusers]'"
)

"""What every engine must do (``contract``), and each engine's own file that runs it."""

import pytest

pytest.register_assert_rewrite("tests.engines.contract")

"""A service without its lockdown, for comparison: ``python -m benchmarks.unlocked``, the service by MAYFLY_INSTANCE."""

import importlib
import os

from mesh.app import main
from mesh.lockdown import locking

service = os.environ["MAYFLY_INSTANCE"].partition("-")[0]
locking.apply = lambda *_: locking.Lockdown()
config = importlib.import_module(f"services.{service}.config")
main(service, f"services.{service}.wiring", getattr(config, f"{service.title()}Settings"))

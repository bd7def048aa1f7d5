from mesh.app import main
from services.purge.auditor.wiring import build

main("auditor", build)

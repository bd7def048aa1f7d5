from mesh.app import main
from services.ingest.wiring import build

main("ingest", build)

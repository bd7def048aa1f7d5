from mesh.app import main
from services.ingest.config import IngestSettings

main("ingest", "services.ingest.wiring", IngestSettings)

from mesh.app import main
from services.purge.config import PurgeSettings

main("purge", "services.purge.wiring", PurgeSettings)

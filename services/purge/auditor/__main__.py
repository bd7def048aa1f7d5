from mesh.app import main
from services.purge.auditor.config import AuditorSettings

main("auditor", "services.purge.auditor.wiring", AuditorSettings)

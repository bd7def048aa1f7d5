from mesh.app import main
from services.gateway.config import GatewaySettings

main("gateway", "services.gateway.wiring", GatewaySettings)

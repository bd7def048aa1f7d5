from mesh.app import main
from services.gateway.wiring import build

main("gateway", build)

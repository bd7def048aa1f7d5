from mesh.app import main
from services.purge.wiring import build

main("purge", build)

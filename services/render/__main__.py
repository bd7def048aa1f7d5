from mesh.app import main
from services.render.wiring import build

main("render", build)

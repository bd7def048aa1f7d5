from mesh.app import main
from services.render.config import RenderSettings

main("render", "services.render.wiring", RenderSettings)

"""The page of the studio: `python app.py`. Host and port come from GRADIO_SERVER_NAME and GRADIO_SERVER_PORT."""

from studio.engine import Engine
from studio.settings import Settings
from studio.ui.app import build, launch_options

settings = Settings.from_environment()
demo = build(Engine(settings, alone=True), settings)

if __name__ == "__main__":
    demo.launch(**launch_options(settings))

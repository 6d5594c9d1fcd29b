"""The page. Gradio's usage statistics are switched off here, before anything imports gradio."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

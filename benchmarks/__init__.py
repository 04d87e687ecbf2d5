"""What op25b costs, measured side by side in one run: ``.venv/bin/python -m benchmarks.cost``."""

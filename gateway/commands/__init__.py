"""The operator's commands beside `serve` and `check`: each module has `configure` and `run`."""

"""The local stack: vLLM replicas on CPU, nginx and the gateway as plain processes under one supervisor.

Everything that decides (`settings`, `plan`, `lifecycle`) is pure; everything that does (`processes`, `supervisor`,
`guard`) is thin. No process outlives its supervisor, however that one ends: see `guard`.
"""

"""The machinery of tasks: problems, sources, the registry.

Every other module of `palaestra.tasks` is a task.
"""

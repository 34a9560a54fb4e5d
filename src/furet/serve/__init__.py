"""The server: HTTP APIs over models that each run in a process of their own.

    jobs        what a model's process can be asked for
"""

"""The server: HTTP APIs over models that each run in a process of their own.

    jobs                    what a model's process can be asked for
    wire, worker, work      the process: frames over pipes, a thread for each job
    process, supervise      one life of a process; a worker that is started again when it dies
    tenants, names, models  several models within one budget, by the names that are there
    app, guard, errors      the application; who may call; what errors are in HTTP
    openai, ollama, anthropic, page     routes
    sse, metrics, limits    streams that end with their reader; figures; bounds
    running                 the socket, and signals
"""

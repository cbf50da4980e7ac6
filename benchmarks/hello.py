"""The least a FastAPI service can do, served as ours is: what its answers are measured against."""

import sys

import uvicorn
from fastapi import FastAPI


def create_app() -> FastAPI:
    """One route that says hello."""
    app = FastAPI()

    @app.get("/")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


if __name__ == "__main__":
    uvicorn.run(
        "benchmarks.hello:create_app",
        factory=True,
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
    )

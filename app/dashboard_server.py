"""The dashboard's own process: Optuna's web application over our tables, on an inherited socket.

Started by `app.dashboard_process`; it imports 175 MB of libraries and computes for seconds on a
large study, which the api must not.
"""

import signal
import sys
from contextlib import closing

from tuner.workers import kernel

#: The api's answers come first.
NICENESS = 10
#: Answers computed at once; each may hold a large study's JSON.
THREADS = 4


def main(descriptor: int, parent: int) -> None:
    """Serve on the listening socket `descriptor` until SIGTERM, or until `parent` ends."""
    kernel.end_with_parent(signal.SIGKILL, parent)
    kernel.give_way(NICENESS)
    from tuner.errors import TunerError
    from tuner.storage_view import open_view

    try:
        view = open_view()
    except TunerError as error:
        sys.exit(f"The dashboard cannot start: {error}")
    # After the database, which fails sooner than these are imported.
    import optuna_dashboard
    import uvicorn
    from a2wsgi import WSGIMiddleware

    with closing(view):
        config = uvicorn.Config(
            WSGIMiddleware(optuna_dashboard.wsgi(view), workers=THREADS),
            fd=descriptor,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

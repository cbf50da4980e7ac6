"""Has a thread from its import on, as some libraries do."""

import os
import threading

IMPORTED_BY = os.getpid()
threading.Thread(target=threading.Event().wait, daemon=True).start()

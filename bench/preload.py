"""What the fork server imports once, so that no worker pays for it again.

Beside the libraries this touches what torch imports on first use, which costs each fork a second:
counting a tiny network on meta tensors starts no thread and opens no device.
"""

import atexit
import gc
import os
import signal
import threading
import warnings

from bench.fork_server import END_SIGNALS

# Taking all of it apart lasts a second, for which whoever reads the run's output would wait. The
# server has nothing of its own left to do, and the workers end by themselves.
atexit.register(os._exit, 0)

for _end_signal in END_SIGNALS:
    signal.signal(_end_signal, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)

_imported = threading.Event()


def _end_with(parent: int) -> None:
    """End this process if its parent ends while it imports: a command that found a mistake.

    Whoever reads the command's output would wait for it, because it holds the pipe too.
    """
    while not _imported.wait(0.05):
        if os.getppid() != parent:
            os._exit(0)


_watch = threading.Thread(target=_end_with, args=(os.getppid(),))
_watch.start()

# Importing makes some 400,000 objects, all of which stay, and the collector would go over them time
# and again: a fifth of the whole.
gc.disable()

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore asks torch for things it calls deprecated
    import fvcore.nn  # noqa: F401
    import pandas  # noqa: F401  # which pyarrow imports for its first array
    import timm  # noqa: F401
    import torch
    import torch._dynamo
    import torchvision  # noqa: F401

    import bench.measure.accuracy
    import bench.measure.throughput
    import bench.worker  # noqa: F401
    from bench import conditions
    from bench.measure.complexity import count_macs

    with torch.device("meta"):
        count_macs(torch.nn.Conv2d(1, 1, 1), (1, 1, 2, 2))
        torch.zeros(1).clamp_(0, 1)
    conditions.software()
    conditions.processor_name()

# Workers' collections leave these objects alone, and so the memory that they share.
gc.freeze()
gc.enable()

# From here on the server sees by itself when its parent ends, and no thread is left to be forked.
_imported.set()
_watch.join()

# The server ignores Ctrl-C from here on, and workers begin with what is set here.
signal.signal(signal.SIGINT, signal.default_int_handler)

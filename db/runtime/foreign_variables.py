"""Variables in the environment that are meant for another program, and must not decide what this one does.

Options and RANKMILL_* variables alone decide. Libraries read more: the broker of another Celery application,
the Django project of the shell, the server of another PostgreSQL client. Our own processes drop those before
they import any library, and hand none on. Whoever uses us as a library keeps their own environment.
"""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase

CELERY = (
    *("CELERY", "CELERY_*", "KOMBU_*", "DJANGO_*"),
    *("C_BENCH*", "C_FAKEFORK", "C_FORCE_ROOT", "C_IMPDEBUG", "C_REMDEBUG", "C_STRICT_APP", "C_W*"),
    *("APP", "BROKER_URL", "CONFIG_MODULE", "LOADER", "RESULT_BACKEND", "SKIP_CHECKS"),
    *("AUTOSCALE_KEEPALIVE", "DISABLE_TRACEBACKS", "EVENTLET_NOBLOCK", "PICKLE_PROTOCOL", "TIMER_DEBUG"),
    *("NOSETPS", "REMAP_SIGTERM", "USE_FAST_LOCALS"),
    # What Celery tells its own children: a command may be started by a task of another application.
    *("FORKED_BY_MULTIPROCESSING", "MP_LOG", "MP_MAIN_FILE", "MULTIPROCESSING_FORKING_DISABLE", "_MP_FORK_*"),
)
MONITOR = ("FLOWER_*", "PROMETHEUS_*", "prometheus_multiproc_dir")
SETTINGS = ("PSYCOPG_*", "PYDANTIC_SETTINGS_DEBUG")  # the second would print passwords
# Where a PostgreSQL is, who we are there, how the session behaves. Passwords, keys and certificates count.
POSTGRESQL = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE", "PGREALM"),
    *("PGOPTIONS", "PGCLIENTENCODING", "PGTZ", "PGDATESTYLE", "PGGEQO", "PGAPPNAME", "PGCONNECT_TIMEOUT"),
    *("PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION"),
)
# What would compute scores in other numbers than their precision says, or by programs from elsewhere.
SCORES = (
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "PYTORCH_TUNABLEOP_*"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("TORCHINDUCTOR_*", "TORCH_COMPILE_OVERRIDE_*", "TRITON_INTERPRET", "USE_HUB_KERNELS", "XLA_*"),
)
DROPPED = (*CELERY, *MONITOR, *SETTINGS, *POSTGRESQL, *SCORES)
KEPT = ("TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_COMPILE_THREADS")


def is_foreign(name: str) -> bool:
    """Whether the variable is meant for another program."""
    return name not in KEPT and any(fnmatchcase(name, pattern) for pattern in DROPPED)


def without_foreign(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of ours, which looks for no modules in the current folder either."""
    ours = {name: value for name, value in environment.items() if not is_foreign(name)}
    if "PYTHONPATH" in ours:  # an empty part of it stands for the current folder
        ours["PYTHONPATH"] = os.pathsep.join(filter(None, ours["PYTHONPATH"].split(os.pathsep)))
    return ours | {"PYTHONSAFEPATH": "1"}


def drop_foreign() -> None:
    """Makes this process, and all that it starts, one of ours. For programs, not for libraries."""
    ours = without_foreign(os.environ)
    for name in set(os.environ) - set(ours):
        del os.environ[name]
    os.environ.update(ours)

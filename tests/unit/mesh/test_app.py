"""A process's life, in processes of their own."""

from __future__ import annotations

import json

from tests.unit.mesh.programs import run
from tests.unit.serving import CANARY

PROGRAM = """
import asyncio, os, signal, sys
from mesh.app import App, main
from mesh.config import MeshSettings

class Part:
    def __init__(self, name, start=None, stop=None):
        self.name, self.on_start, self.on_stop = name, start, stop
    async def start(self):
        print("start", self.name, flush=True)
        if self.on_start: self.on_start()
    async def stop(self):
        print("stop", self.name, flush=True)
        if self.on_stop: self.on_stop()

def term(): os.kill(os.getpid(), signal.SIGTERM)
def fail(): raise ValueError(sys.argv[-1] if False else "%s")
def misconfigured():
    from mesh.errors import ConfigError
    raise ConfigError("MAYFLY_X: is wrong")

def build(settings, lockdown):
    assert all(lockdown.controls.values()), lockdown
    app = App(lambda: {"address": "127.0.0.1:1"})
    app.add(%s)
    return app

main("ingest", "__main__", MeshSettings)
"""
SETTINGS = {
    "MAYFLY_LISTEN": "127.0.0.1:0",
    "MAYFLY_OPS_LISTEN": "127.0.0.1:0",
    **dict.fromkeys(("MAYFLY_TLS_CERT", "MAYFLY_TLS_KEY", "MAYFLY_TLS_CA"), __file__),
}


def life(parts: str) -> tuple[int, list[str], list[dict[str, object]], str]:
    done = run(PROGRAM % (CANARY, parts), **SETTINGS)
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return done.returncode, done.stdout.splitlines(), logged, done.stderr


def test_started_in_order_stopped_in_reverse() -> None:
    code, said, logged, _ = life('Part("a"), Part("b"), Part("c", start=term)')
    assert code == 0
    assert said == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]
    assert [line["event"] for line in logged] == ["serving", "draining", "stopped"]


def test_what_has_started_is_stopped_when_the_next_cannot_start() -> None:
    code, said, _, stderr = life('Part("a"), Part("b", start=misconfigured), Part("c")')
    assert code == 78
    assert said == ["start a", "start b", "stop a"]
    assert stderr.splitlines()[-1] == "ingest: MAYFLY_X: is wrong"


def test_one_that_cannot_stop_keeps_nobody_from_it() -> None:
    code, said, logged, stderr = life('Part("a"), Part("b", stop=fail), Part("c", start=term)')
    assert code == 0
    assert said[-3:] == ["stop c", "stop b", "stop a"]
    assert "stop_failed" in [line["event"] for line in logged]
    assert CANARY not in stderr


def test_a_bug_at_the_start_does_not_print_its_text() -> None:
    code, said, logged, stderr = life('Part("a"), Part("b", start=fail)')
    assert code == 1
    assert said[-1] == "stop a"
    assert logged[-1]["event"] == "uncaught"
    assert CANARY not in stderr


def test_a_wrong_environment_is_one_line_and_78() -> None:
    environment = dict.fromkeys(("MAYFLY_LISTEN", "MAYFLY_OPS_LISTEN"), "")
    for service in ("gateway", "ingest", "render"):
        done = run(f"import runpy; runpy.run_module('services.{service}', run_name='__main__')", **environment)
        assert done.returncode == 78
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"{service}: MAYFLY_")


WITHOUT_LANDLOCK = """
import errno
from mesh.kernel import seccomp
seccomp.install([*seccomp.prologue(), *seccomp.answer(("landlock_create_ruleset",), seccomp.fails(errno.ENOSYS)),
                 (seccomp.RETURN, 0, 0, seccomp.ALLOW)])
"""


def test_a_missing_control_is_one_line_and_78_before_anything_is_built() -> None:
    program = WITHOUT_LANDLOCK + PROGRAM % (CANARY, 'Part("a", start=term)')
    done = run(program, **SETTINGS)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    assert done.stderr.startswith("ingest: lockdown is incomplete without landlock_tcp, landlock_files (")


def test_permissive_starts_and_shouts() -> None:
    program = WITHOUT_LANDLOCK + PROGRAM % (CANARY, 'Part("a", start=term)')
    done = run(
        program.replace("    assert all(lockdown", "    assert not all(lockdown"),
        **SETTINGS,
        MAYFLY_LOCKDOWN="permissive",
    )
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 0
    shouted = {line["control"] for line in logged if line["event"] == "lockdown_incomplete"}
    assert shouted == {"landlock_files", "landlock_tcp"}
    assert logged[-1]["event"] == "stopped"


def test_nothing_that_must_be_locked_is_imported_before_the_lockdown() -> None:
    done = run(
        """
        import json, os, sys, threading
        import mesh.app
        for service in ("gateway", "ingest", "render", "purge"):
            __import__(f"services.{service}.config")
        early = [name for name in ("grpc", "google", "onnxruntime", "numpy", "PIL") if name in sys.modules]
        told = [os.environ[name] for name in ("GRPC_DNS_RESOLVER", "RES_OPTIONS")]
        print(json.dumps([early, threading.active_count(), len(os.listdir("/proc/self/task")), told]))
    """,
        RES_OPTIONS="attempts:1 use-vc",
    )
    assert json.loads(done.stdout) == [[], 1, 1, ["native", "attempts:1 use-vc"]]


def test_grpc_is_silent_as_every_main_imports_it() -> None:
    """A failed handshake, which gRPC's core otherwise reports with the peer's address."""
    done = run("""
        from mesh.app import main
        import asyncio, grpc
        from clients.local.authority import loopback_names, new_authority, new_leaf, utc_now
        ca = new_authority(utc_now())
        leaf = new_leaf(ca, "x", loopback_names(), utc_now())
        async def attempt():
            server = grpc.aio.server()
            pair = (leaf.key_pem(), leaf.certificate_pem())
            credentials = grpc.ssl_server_credentials([pair], ca.certificate_pem(), require_client_auth=True)
            port = server.add_secure_port("127.0.0.1:0", credentials)
            await server.start()
            trust = grpc.ssl_channel_credentials(ca.certificate_pem())
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", trust) as channel:
                try:
                    await channel.unary_unary("/a/b")(b"", timeout=5)
                except grpc.aio.AioRpcError as error:
                    print(error.code().name)
            await server.stop(0)
        asyncio.run(attempt())
    """)
    assert (done.stdout, done.stderr) == ("UNAVAILABLE\n", "")

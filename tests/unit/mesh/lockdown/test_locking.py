"""Locking for real: what is reported is what the kernel does, and a control that is missing is noticed."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.unit.mesh.lockdown.programs import run, said

CONTROLS = {
    "no_inherited_files", "no_core_dumps", "no_file_growth", "no_swap", "not_dumpable", "no_new_privileges",
    "landlock_files", "landlock_tcp", "landlock_scopes", "seccomp", "no_exec", "freed_memory_overwritten",
}  # fmt: skip


def test_all_of_them_are_in_force() -> None:
    found = said(
        """
        controls = locking.apply(Needs(), "strict").controls
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        print(json.dumps({"controls": dict(controls), "seccomp": status["Seccomp"].strip(),
                          "filters": status["Seccomp_filters"].strip(), "nnp": status["NoNewPrivs"].strip(),
                          "owner": Path("/proc/self/mem").stat().st_uid}))
        """
    )
    assert found["controls"] == dict.fromkeys(CONTROLS, True)
    assert (found["seccomp"], found["filters"], found["nnp"]) == ("2", "2", "1")
    assert found["owner"] == 0  # an undumpable process's files belong to root (proc(5))


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("landlock_create_ruleset", ["landlock_files", "landlock_tcp"]),
        ("landlock_restrict_self", ["landlock_files", "landlock_tcp", "landlock_scopes"]),
        ("seccomp", ["seccomp", "no_exec"]),
    ],
)
def test_a_missing_control_stops_the_start_and_shouts_when_permissive(call: str, missing: list[str]) -> None:
    strict = run(f"without({call!r}); locking.apply(Needs(), 'strict')")
    assert strict.returncode == 1
    last = strict.stderr.splitlines()[-1]
    said_missing = last.removeprefix("mesh.errors.ConfigError: lockdown is incomplete without ").partition(" (")[0]
    assert sorted(said_missing.split(", ")) == sorted(missing)
    assert last.endswith("MAYFLY_LOCKDOWN=permissive serves all the same, for development only.")
    permissive = run(
        f"""
        from mesh import log
        without({call!r})
        log.configure("ingest", "ingest-0")
        held = locking.apply(Needs(), "permissive").controls
        print(sorted(name for name, in_force in held.items() if not in_force))
        """
    )
    assert permissive.stdout == f"{sorted(missing)}\n", permissive.stderr
    lines = [line for line in permissive.stderr.splitlines() if "lockdown_incomplete" in line]
    assert len(lines) == len(missing)
    assert all('"level": "critical"' in line for line in lines)


def test_permissive_shouts_also_where_nothing_is_missing() -> None:
    program = "from mesh import log; log.configure('ingest', 'ingest-0'); locking.apply(Needs(), {!r})"
    (line,) = run(program.format("permissive")).stderr.splitlines()
    assert json.loads(line)["event"] == "lockdown_permissive"
    assert json.loads(line)["level"] == "critical"
    assert run(program.format("strict")).stderr == ""


def test_an_inherited_file_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        found = said(
            f"""
            locking.apply(Needs(), "strict")
            try:
                os.write({file.fileno()}, b"photo")
            except OSError as error:
                print(error.errno)
            """,
            pass_fds=[file.fileno()],
        )
    assert found == 9  # EBADF
    assert (tmp_path / "file").read_bytes() == b""


def test_output_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        done = run("locking.apply(Needs(), 'strict')", stdout=log.fileno())
    assert "lockdown is incomplete without no_inherited_files (stdout or stderr is a file" in done.stderr


def test_output_that_is_a_disk_stops_the_start(tmp_path: Path) -> None:
    """A block device without a driver, not opened but pointed at (O_PATH): it is what fstat(2) says that counts."""
    if os.geteuid():
        pytest.skip("only root makes devices")
    os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(240, 0))  # a major number for local use
    disk = os.open(tmp_path / "disk", os.O_PATH)
    done = run("locking.apply(Needs(), 'strict')", stdout=disk)
    os.close(disk)
    assert "lockdown is incomplete without no_inherited_files" in done.stderr


def test_nothing_begins_to_listen_once_all_servers_do() -> None:
    """In threads that run already, too; what listens goes on."""
    found = said("""
        import socket, threading
        held = locking.apply(Needs().binding("127.0.0.1:0"), "strict")
        server = socket.create_server(("127.0.0.1", 0))
        go, errors = threading.Event(), []
        def listen():
            go.wait()
            with socket.socket() as unnamed:
                try:
                    unnamed.listen()
                    errors.append(0)
                except OSError as error:
                    errors.append(error.errno)
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        with socket.socket() as unnamed:
            unnamed.listen()  # so far
        said = dict(held.end_listening())
        go.set()
        thread.join()
        listen()
        before = server.getsockname()[1] > 0 and server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        print(json.dumps([said, errors, before]))
    """)
    assert found == [{"no_more_listening": True}, [1, 1], 1]  # EPERM


def test_a_process_whose_sockets_could_still_listen_does_not_serve() -> None:
    program = "locking.filters.for_the_serving = lambda: [(6, 0, 0, seccomp.ALLOW)]; "
    strict = run(program + "locking.apply(Needs(), 'strict').end_listening()")
    assert "lockdown is incomplete without no_more_listening" in strict.stderr.splitlines()[-1]
    assert said("print(json.dumps(locking.Lockdown().end_listening() or locking.seccomp.in_force()))") is False


def test_a_permissive_process_can_still_log_to_its_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        run("locking.apply(Needs(), 'permissive'); print('still heard', flush=True)", stdout=log.fileno())
    said = (tmp_path / "log").read_text()
    assert "still heard" in said
    assert all(control in said for control in ("no_inherited_files", "no_file_growth"))


def test_who_keeps_files_may_write_them_there_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    found = said(
        f"""
        folder, other = Path({str(tmp_path / "log")!r}), Path({str(tmp_path / "other")!r})
        controls = locking.apply(Needs().writing(folder), "strict").controls
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_bytes(b"entry")
        (folder / "sub" / "a").rename(folder / "b")
        try:
            (other / "a").write_bytes(b"entry")
        except OSError as error:
            print(json.dumps([sorted(controls), (folder / "b").read_text(), error.errno]))
        """
    )
    assert found == [sorted(CONTROLS - {"no_file_growth"}), "entry", 13]
    assert not list((tmp_path / "other").iterdir())


def test_no_more_ports_than_were_asked_for(tmp_path: Path) -> None:
    found = said(
        """
        import socket
        free = socket.socket(); free.bind(("127.0.0.1", 0)); free.listen(); port = free.getsockname()[1]
        spare = socket.socket(); spare.bind(("127.0.0.1", 0)); own = spare.getsockname()[1]; spare.close()
        with_them = Needs().connecting([f"127.0.0.1:{port}"]).binding(f"127.0.0.1:{own}")
        descriptor = os.dup(free.fileno())
        import mesh.lockdown.descriptors as d
        d.os.closerange = lambda *_: None  # the listener is this very process's
        locking.apply(with_them, "strict")
        said = []
        for call, where in (("connect", port), ("bind", own), ("connect", own), ("bind", port)):
            with socket.socket() as s:
                try:
                    getattr(s, call)(("127.0.0.1", where)); said.append(0)
                except OSError as error:
                    said.append(error.errno)
        print(json.dumps(said))
        """
    )
    assert found == [0, 0, 13, 13]


def test_grpc_serves_and_connects_by_ipv6() -> None:
    """It looks for IPv6 by binding a free port of ::1, once."""
    found = said("""
        import asyncio, socket
        with socket.socket(socket.AF_INET6) as spare:
            spare.bind(("::1", 0))
            address = f"[::1]:{spare.getsockname()[1]}"
        locking.apply(Needs().binding(address).connecting([address]), "strict")
        import grpc
        async def main():
            server = grpc.aio.server()
            server.add_insecure_port(address)
            await server.start()
            async with grpc.aio.insecure_channel(address) as channel:
                await asyncio.wait_for(channel.channel_ready(), 20)
            await server.stop(0)
            print("true")
        asyncio.run(main())
    """)
    assert found is True


def test_a_new_interpreter_finds_the_libraries_that_ours_found() -> None:
    """Not another version's in the system's folders: the dynamic loader goes on where it may not read (ld.so(8))."""
    found = said("""
        import re, subprocess, sys
        from mesh.lockdown import confinement
        library = re.compile(r"\\S*/libpython\\S*|\\S*/bin/python\\S*")
        ours = sorted(set(library.findall(Path("/proc/self/maps").read_text())))
        confinement.with_children(Needs())
        read = "import sys; sys.stdout.write(open('/proc/self/maps').read())"
        maps = subprocess.run([sys.executable, "-c", read], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        print(json.dumps([ours, sorted(set(library.findall(maps.stdout)))]))
    """)
    assert found[0] == found[1] != []


def test_threads_that_run_already_are_filtered_too() -> None:
    found = said("""
        import json, threading
        from mesh.lockdown import filters
        go, errors = threading.Event(), []
        def later():
            go.wait()
            try:
                import os
                os.memfd_create("x")
            except OSError as error:
                errors.append(error.errno)
        thread = threading.Thread(target=later)
        thread.start()
        seccomp.install_for_all_threads(filters.for_service(writes=False, unix_sockets=False))
        go.set()
        thread.join()
        print(json.dumps(errors))
    """)
    assert found == [1]  # EPERM


def test_threads_can_still_be_started_and_limits_read() -> None:
    found = said(
        """
        locking.apply(Needs(), "strict")
        import concurrent.futures, resource, io, logging
        with concurrent.futures.ThreadPoolExecutor() as pool:
            limit = pool.submit(resource.getrlimit, resource.RLIMIT_NOFILE).result()
        print(json.dumps(limit[0] > 0))
        """
    )
    assert found is True


def test_a_swap_area_added_later_is_seen() -> None:
    found = said(
        """
        held = locking.apply(Needs(), "strict")
        first = held.swap_is_kept_out()
        locking.swap.is_off = locking.swap.is_barred = locking.swap.are_locked = lambda: False
        print(json.dumps([first, held.swap_is_kept_out()]))
        """
    )
    assert found == [True, False]


def test_the_libraries_that_services_use_work(tmp_path: Path) -> None:
    """Each imported after the locking, as in a service."""
    found = said(
        """
        from services.render import models
        style = models.style_network()
        locking.apply(Needs(), "strict")
        import io, logging, tempfile
        import numpy, onnxruntime, prometheus_client
        from PIL import Image, ImageFont
        import font_fredoka_one
        session = onnxruntime.InferenceSession(str(style), providers=["CPUExecutionProvider"])
        shape = [side if isinstance(side, int) else 64 for side in session.get_inputs()[0].shape]
        out = io.BytesIO()
        Image.new("RGB", (64, 64)).save(out, "JPEG")
        ImageFont.truetype(font_fredoka_one.__file__.replace("__init__.py", "files/FredokaOne-Regular.ttf"), 20)
        with tempfile.SpooledTemporaryFile(max_size=1000) as small:
            small.write(b"x" * 1000)
        logging.getLogger("x").warning("to stderr")
        text = prometheus_client.generate_latest().decode()
        print(json.dumps([Image.open(io.BytesIO(out.getvalue())).size, "process_open_fds" in text]))
        """
    )
    assert found == [[64, 64], True]
    assert os.environ.get("HOME")


def test_a_device_is_opened_for_writing_and_nothing_else_is() -> None:
    """As a GPU's are; one with /dev/zero here, which takes everything and keeps nothing."""
    found = said("""
        controls = locking.apply(Needs().using(Path("/dev/zero"), Path("/dev/no-such-device")), "strict").controls
        def tried(path, flags=os.O_RDWR):
            try:
                fd = os.open(path, flags)
                return os.write(fd, b"x") if flags & os.O_RDWR else 0
            except OSError as error:
                return -error.errno
        made = tried("/tmp/made", os.O_RDWR | os.O_CREAT)
        print(json.dumps([dict(controls), tried("/dev/zero"), tried("/dev/full"), made]))
    """)
    controls, device, another, file = found
    assert controls == dict.fromkeys(CONTROLS, True)
    assert (device, another, file) == (1, -13, -13)  # EACCES

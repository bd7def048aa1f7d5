"""The report as a file: signed, the same in every form, and worked out again from logs that grew or were changed."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clients.cli.main import run
from clients.evidence import check, html, report
from clients.evidence.period import Period
from mesh.transparency import dsse
from mesh.transparency.canonical import from_json, to_json
from mesh.transparency.errors import VerificationError
from services.purge.signing import public_pem
from tests.unit.clients.evidence.logs import HOUR, NOW, Shards, audit, grant, receipt

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PERIOD = Period(NOW - 24 * HOUR, NOW)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shards = Shards(tmp_path_factory.mktemp("logs"))
    ends = [receipt(i, NOW - 1000 + i, lived=2.0 + i / 10) for i in range(290)]
    shards.add(0, *[grant(i, NOW - 700 + i) for i in range(300)], *ends, audit(NOW - HOUR))
    shards.add(1, *[receipt(i, NOW - 700 + i, outcome="expired", replica=1) for i in range(290, 300)])
    return shards.folder


@pytest.fixture
def shards(made_once: Path, tmp_path: Path) -> Shards:
    shutil.copytree(made_once, tmp_path / "logs")
    return Shards(tmp_path / "logs")


@pytest.fixture
def made(shards: Shards) -> report.Report:
    return report.make(shards.readers(), shards.trust(), PERIOD, now=NOW)


def again(shards: Shards, said: report.Report) -> tuple[str, ...]:
    return check.check(said, shards.readers(), shards.trust()).differences


def forged(made: report.Report, **changes: Any) -> report.Report:
    """With other figures, by somebody who has the key."""
    value = json.loads(made.payload)
    for path, new in changes.items():
        place = value
        *names, last = [int(name) if name.isdecimal() else name for name in path.split("__")]
        for name in names:
            place = place[name]
        place[last] = new
    return report.open_report(dsse.sign(report.PAYLOAD_TYPE, to_json(value), KEY).to_json() + b"\n", [KEY.public_key()])


def test_what_was_signed_is_what_is_read_and_a_changed_byte_is_refused(made: report.Report) -> None:
    data = report.sign(made, KEY)
    assert report.open_report(data, [KEY.public_key()]) == made
    stranger = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(VerificationError, match="No trusted key"):
        report.open_report(data, [stranger])
    for at in range(0, len(data), 997):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(VerificationError):
            report.open_report(bytes(changed), [KEY.public_key()])


def test_an_honest_report_holds_also_when_the_logs_have_grown(shards: Shards, made: report.Report) -> None:
    assert made.figures["conservation"]["ended"] == 300
    assert again(shards, made) == ()
    shards.add(0, *[grant(i, NOW + 100) for i in range(1000, 1300)])
    shards.add(1, *[receipt(i, NOW - 3, replica=1) for i in range(1000, 1300)])
    assert again(shards, made) == ()
    assert report.make(shards.readers(), shards.trust(), PERIOD, now=NOW).figures["conservation"]["ended"] == 600


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"figures__conservation__settled": 291}, "conservation.settled: the report says 291, the log 290"),
        ({"figures__residency__longest_ms": 5000}, "residency.longest_ms"),
        ({"figures__audits__statements": []}, "audits.statements"),
        ({"figures__audits__gap_seconds": 864_000}, "audits.gaps"),
        ({"sentence": "0 photos ever."}, "sentence"),
        ({"figures__lockdown__render__controls": {"no_swap": 300, "seccomp": 300}}, "lockdown.render.controls.seccomp"),
        ({"period__since": "2027-01-15T07:50:00Z"}, "conservation"),
        (
            {"definitions__0__meaning": "Leases that we liked."},
            "conservation.admitted.meaning: the report says 'Leases",
        ),
        ({"definitions__3__query": "vector(0)"}, "conservation.open.query: the report says 'vector(0)', this program"),
        ({"definitions__5__log": "Ask us."}, "definitions.residency.counted, unknown.log"),
        ({"definitions__5__more": "x"}, "definitions.residency.counted, unknown.more"),
        ({"definitions__5": "x"}, "defines other figures"),
        ({"definitions": []}, "defines other figures"),
        ({"definitions": None}, "defines other figures"),
    ],
)
def test_a_figure_that_is_not_the_logs_is_named(
    shards: Shards, made: report.Report, changes: dict[str, Any], named: str
) -> None:
    assert any(named in difference for difference in again(shards, forged(made, **changes)))


def test_a_report_that_leaves_a_log_out_or_names_another_head_is_refused(shards: Shards, made: report.Report) -> None:
    with pytest.raises(VerificationError, match=r"rests on other logs: mayfly\.test/1"):
        check.check(made, shards.readers(0), shards.trust())
    with pytest.raises(VerificationError, match="No head"):
        again(shards, forged(made, logs=made.value["logs"][:1]))
    with pytest.raises(VerificationError, match="signature"):
        changed = [dict(log, checkpoint=log["checkpoint"].replace("\n10\n", "\n9\n")) for log in made.value["logs"]]
        again(shards, forged(made, logs=changed))


@pytest.mark.parametrize("change", [{}, {"size": 1}])
def test_a_report_that_lists_a_log_twice_is_refused(
    shards: Shards, made: report.Report, change: dict[str, object]
) -> None:
    first, *rest = made.value["logs"]
    with pytest.raises(VerificationError, match="lists a log more than once"):
        again(shards, forged(made, logs=[first | change, first, *rest]))


def test_a_log_that_was_rewritten_or_set_back_since_is_noticed(shards: Shards, made: report.Report) -> None:
    shutil.rmtree(shards.log(1))
    shards.add(1, *[receipt(i, NOW - 500 + i, replica=1) for i in range(290, 300)], grant(5000, NOW))
    with pytest.raises(VerificationError, match="older root"):
        again(shards, made)
    shutil.rmtree(shards.log(1))
    shards.add(1, receipt(290, NOW - 500, replica=1))
    with pytest.raises(VerificationError, match="shorter"):
        again(shards, made)


class _Prometheus(BaseHTTPRequestHandler):
    value = "3"

    def do_GET(self) -> None:
        refused = "leases_granted" in self.path
        series = [{"metric": {"__name__": "x", "rule": "R3"}, "value": [1, self.value]}]
        self.send_response(422 if refused else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": {"result": series}}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def prometheus() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Prometheus) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_prometheus_said_is_asked_again(shards: Shards, prometheus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = report.make(shards.readers(), shards.trust(), PERIOD, now=NOW, prometheus_url=prometheus)
    answers = made.value["prometheus"]["answers"]
    assert {"error": "HTTP 422"} in answers.values()
    assert {"series": [{"labels": {"rule": "R3"}, "value": "3"}]} in answers.values()
    assert b"<td>R3 no disk: 3</td>" in html.render(made, "report.json", "keyid")
    checked = check.check(made, shards.readers(), shards.trust(), prometheus_url=prometheus)
    assert checked == check.Checked((), asked=True)
    monkeypatch.setattr(_Prometheus, "value", "4")
    differing = check.check(made, shards.readers(), shards.trust(), prometheus_url=prometheus).differences
    assert differing and all(difference.startswith("prometheus: ") for difference in differing)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prometheus__answers__vector(0)": {"series": []}}, "prometheus: this program does not ask vector(0)"),
        ({"prometheus__answers": {}}, "prometheus: the report leaves out"),
        ({"prometheus__at": "2027-01-15T07:00:00Z"}, "prometheus.at"),
    ],
)
def test_other_questions_to_prometheus_are_named_without_asking_it(
    shards: Shards, prometheus: str, changes: dict[str, Any], named: str
) -> None:
    made = report.make(shards.readers(), shards.trust(), PERIOD, now=NOW, prometheus_url=prometheus)
    assert again(shards, made) == ()
    assert any(named in difference for difference in again(shards, forged(made, **changes)))


@pytest.mark.parametrize(
    "asked", [3, [], {"at": "soon"}, {"url": "", "at": "2027-01-15T07:00:00Z", "answers": {"up": {"series": [3]}}}]
)
def test_a_report_that_is_none_is_refused(shards: Shards, made: report.Report, asked: object) -> None:
    with pytest.raises(VerificationError, match="lacks what it takes"):
        again(shards, forged(made, prometheus=asked))


def test_the_gap_between_audits_is_the_reporter_s_choice(command: Command) -> None:
    assert command.make("report.json", "--audit-gap", "86400") == 0
    opened = report.open_report((command.folder / "report.json").read_bytes(), [KEY.public_key()])
    assert (opened.figures["audits"]["gap_seconds"], opened.figures["audits"]["gaps"]) == (86_400, [])
    assert command.check("report.json") == 0


class Command:
    """`mayfly evidence` over the shards, with a key of the auditor's own."""

    def __init__(self, shards: Shards, folder: Path) -> None:
        self.shards = shards
        self.folder = folder
        self.private, self.public = folder / "signer.key.pem", folder / "signer.pub.pem"
        self.private.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.private.chmod(0o600)
        self.public.write_bytes(public_pem(KEY.public_key()))

    def __call__(self, *arguments: str, key: Path | None = None) -> int:
        state = ["--state", str(self.folder / "no-state")]
        return run(["evidence", *self.shards.arguments(), "--key", str(key or self.private), *state, *arguments])

    def make(self, out: str, *arguments: str) -> int:
        period = ["--since", "2027-01-14T08:00:00+00:00", "--until", "2027-01-15T08:00:00+00:00"]
        return self("--out", str(self.folder / out), *period, *arguments)

    def check(self, name: str, *arguments: str) -> int:
        return self("--check", str(self.folder / name), *arguments, key=self.public)


@pytest.fixture
def command(shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    return Command(shards, tmp_path)


def test_pdf_and_html_say_what_the_signed_file_beside_them_says(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    from pypdf import PdfReader

    assert command.make("report.pdf", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(command.folder / "report.pdf").pages).split())
    first = (command.folder / "report.pdf").read_bytes()
    assert command.make("report.html") == 0
    page = (command.folder / "report.html").read_text()
    for shown in (text, page):
        assert said["sentence"] in shown
        assert said["sha256"] in shown and said["key_id"] in shown
        assert "300" in shown and "increase(mayfly_leases_granted_total[86400s])" in shown
        assert "mayfly.test/1" in shown and "2027-01-15T07:00:00Z" in shown
        assert "From the log: Grants whose begin lies in the period." in shown and "No metric says it." in shown
    assert "<script" not in page and "src=" not in page
    payload = dsse.Envelope.from_json((command.folder / "report.json").read_bytes().rstrip()).payload
    assert from_json(payload, "report")["sentence"] == said["sentence"]  # type: ignore[index]
    assert command.make("report.pdf") == 0
    assert (command.folder / "report.pdf").read_bytes() == first, "the same report gives the same pages"


def test_a_report_is_made_and_checked_and_a_lie_is_exit_status_7(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.make("report.json") == 0
    assert command.check("report.json", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verified"] is True
    opened = report.open_report((command.folder / "report.json").read_bytes(), [KEY.public_key()])
    lie = forged(opened, figures__conservation__expired=0)
    (command.folder / "lie.json").write_bytes(report.sign(lie, KEY))
    assert command.check("lie.json", "--json") == 7
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["check"] == "figures" and "conservation.expired: the report says 0, the log 10" in error["message"]
    (command.folder / "lie.json").write_bytes((command.folder / "report.json").read_bytes().replace(b"A", b"B", 1))
    assert command.check("lie.json") == 7
    shutil.rmtree(command.shards.log(0) / "public" / "tile" / "entries")
    assert command.check("report.json") == 7
    assert "missing" in capsys.readouterr().err


NO_URLS = (
    "ftp://x", "prometheus", "prometheus:9090", "http://", "http://x:port", "http://[::1", "http://x:99999",
    "http://x y", "http://user:word@x:9090", "http://x:9090/?a=b", "http://x:9090/#there", "http://x\n", "http://bücher",
)  # fmt: skip
SERIES = {"metric": {"rule": "R3"}, "value": [1, "3"]}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""), (200, b"<html>"), (200, b"[]"), (200, b'{"data": null}'), (200, b"\xff"), (200, b"[" * 200_000),
        *[(200, json.dumps({"data": {"result": result}}).encode()) for result in (
            {}, [3], [{}], [SERIES | {"metric": []}], [SERIES | {"metric": {"a": 1}}], [SERIES | {"value": [1, 3]}],
            [SERIES | {"value": [1, "three"]}], [SERIES | {"value": "x"}], [SERIES | {"metric": {"a": "\ud800"}}],
        )],
        (404, b"not found"), (401, b""), (500, b"{}"), (302, b""), (0, b"SSH-2.0-none\r\n"),
    ],
)  # fmt: skip
def test_what_is_no_prometheus_is_one_line_that_names_the_option(
    command: Command, prometheus: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    status: int, body: bytes,
) -> None:  # fmt: skip
    assert command.make("report.json", "--prometheus", prometheus) == 0
    (command.folder / "report.json").rename(command.folder / "made.json")

    def answer(self: _Prometheus) -> None:
        if status:
            self.send_response(status)
            self.end_headers()
        self.wfile.write(body)

    monkeypatch.setattr(_Prometheus, "do_GET", answer)
    capsys.readouterr()
    for way, name in ((command.make, "report.json"), (command.check, "made.json")):
        assert way(name, "--prometheus", prometheus) == 5
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "--prometheus: http://127.0.0.1:" in line
    assert not (command.folder / "report.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 3),
        (("--out", "a.json", "--check", "b.json"), 3),
        (("--out", "report.txt"), 3),
        (("--out", "report.json", "--since", "soon"), 3),
        (("--out", "report.json", "--until", "2020-01-01"), 3),
        *[(("--out", "report.json", "--prometheus", url), 3) for url in NO_URLS],
        (("--check", "nowhere.json", "--prometheus", "ftp://x"), 3),
        (("--out", "report.json", "--audit-gap", "0"), 3),
        (("--out", "report.json", "--prometheus", "http://127.0.0.1:1"), 5),
        (("--check", "nowhere.json"), 3),
    ],
)
def test_wrong_use_is_one_line_and_no_file(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], code: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(command.folder)
    assert command(*arguments) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "--prometheus" in line or "--prometheus" not in arguments
    assert not list(command.folder.glob("report.[jpht]*"))

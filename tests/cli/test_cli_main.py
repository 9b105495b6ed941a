"""The entry point: what is missing, help, version, and the emulator."""

from __future__ import annotations

import importlib.metadata
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_shell import Ran, Shell, command, environment

from declutter_async import __version__
from declutter_async.cli import main
from declutter_async.emulator import Behaviour


def without(module: str, *arguments: str) -> Ran:
    """The command line in a Python that does not have this module."""
    code = f"import sys; sys.modules[{module!r}] = None; from declutter_async.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        env=environment(None),
        timeout=60,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("cyclopts", ["run"], "cli"),
        ("rich", ["run"], "cli"),
        ("cv2", ["demo"], "emulator"),
        ("numpy", ["emulator"], "emulator"),
    ],
)
def test_a_missing_extra_is_one_line_and_two(module: str, arguments: list[str], extra: str) -> None:
    ran = without(module, *arguments)
    assert ran.code == 2
    assert ran.out == "" or module == "numpy"  # there OpenCV itself says something on stdout
    assert ran.err == f"declutter-async: {module} is not installed: pip install 'declutter-async[{extra}]'\n"


def test_help_and_the_other_commands_do_without_the_emulator() -> None:
    ran = without("cv2", "demo", "--help")
    assert ran.code == 0
    assert "--photos" in ran.out


def test_another_import_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "declutter_async.cli.app", None)
    with pytest.raises(ImportError, match="app"):
        main()


def test_ctrl_c_before_anything_was_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("declutter_async.cli.app.run", interrupted)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    assert "stopped before anything was sent" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], [], ["run", "--help"], ["--version"]])
def test_help_and_version(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["declutter-async", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert __version__ in out if "--version" in arguments else "Exit codes" in out


def test_it_is_the_installed_command() -> None:
    (found,) = [
        entry
        for entry in importlib.metadata.entry_points(group="console_scripts")
        if entry.name == "declutter-async"
    ]
    assert found.load() is main


def test_the_emulator_can_be_pasted_and_used(nobody: Shell) -> None:
    process = nobody.start("emulator", "--port", "0", "--seed", "7", "--photos", "5")
    assert process.stdout is not None
    variables = dict(
        re.findall(r"export (\w+)=(\S+)\n", "".join(process.stdout.readline() for _ in range(3)))
    )
    assert set(variables) == {"DECLUTTER_BASE_URL", "DECLUTTER_API_KEY", "DECLUTTER_USER_ID"}
    assert nobody("check", **variables).code == 0
    port = variables["DECLUTTER_BASE_URL"].rpartition(":")[2]
    taken = nobody("emulator", "--port", port)
    assert taken.code == 2
    assert f"port {port} cannot be listened on" in taken.err
    process.send_signal(signal.SIGINT)
    ran = nobody.end(process)
    assert ran.code == 0
    assert "Stopped: 0 photos charged, 0 refunded." in ran.err
    assert "Next: declutter-async run http://127.0.0.1:" in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--speed", "0"], "speed"), (["--failure-rate", "2"], "failure_rate"), (["--port", "70000"], "--port")],
)
def test_a_wrong_behaviour_is_two(
    arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["declutter-async", "emulator", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert told in capsys.readouterr().err
    assert Behaviour().speed == 1.0  # the default stays the service's own pace


def test_the_module_runs_as_the_command(tmp_path: Path) -> None:
    ended = subprocess.run(command("--version"), capture_output=True, cwd=tmp_path, timeout=60, check=True)
    assert ended.stdout.decode().strip() == __version__

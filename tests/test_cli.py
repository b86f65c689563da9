"""The command line as a whole: help, versions, wrong words, closed pipes."""

import subprocess
import sys

import pytest

GOLDENTAPE = [sys.executable, "-m", "goldentape"]


def run(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GOLDENTAPE, *args], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("args", [["--help"], ["record", "--help"], ["verify", "--help"], ["tape", "--help"]])
def test_help_is_printed_on_stdout(args):
    result = run(*args)

    assert result.returncode == 0
    assert "Usage: goldentape" in result.stdout
    assert result.stderr == ""


def test_a_command_that_is_nearly_one_is_suggested():
    assert "Did you mean 'record'?" in run("recrod").stderr


@pytest.mark.parametrize("args", [["--help"], ["tape", "--help"]])
def test_a_closed_stdout_is_no_error_of_ours(args):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *GOLDENTAPE, *args], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_printed():
    assert run("--version").stdout.startswith("goldentape, version ")


@pytest.mark.parametrize("args", [["recrod"], ["verify", "--no-such-option"], ["tape", "rewind"]])
def test_wrong_words_end_in_one_line_and_exit_2(args):
    result = run(*args)

    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("goldentape: error: ")
    assert result.stderr.count("\n") == 1


def test_a_closed_stdout_ends_without_a_traceback():
    command = f"{sys.executable} -m goldentape --help | head -1"

    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)

    assert result.stdout.startswith("Usage")
    assert result.stderr == ""


def test_help_works_where_the_locale_knows_only_ascii():
    result = run("--help", env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"})

    assert result.returncode == 0
    assert "Traceback" not in result.stderr

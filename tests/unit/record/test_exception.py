from __future__ import annotations

import importlib
import linecache
import sys
import traceback
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spanbridge.model.failure import (
    CapturedException,
    CapturedFrame,
    ExceptionRecord,
    LocalVariables,
)
from spanbridge.record.exception import read_exception_event, read_exceptions
from spanbridge.record.source import InAppRules, SourceReader, module_of_path
from tests.support.failing import caught

ROOT = str(Path(__file__).parents[3])
RULES = InAppRules(project_root=ROOT)


def capture(error: BaseException) -> CapturedException:
    frames = [
        CapturedFrame(frame.f_code, lineno, frame.f_globals.get("__name__"))
        for frame, lineno in traceback.walk_tb(error.__traceback__)
    ]
    return CapturedException(type(error).__qualname__, None, str(error), tuple(frames))


def read(error: BaseException, source: SourceReader | None = None) -> ExceptionRecord:
    [record] = read_exceptions([capture(error)], source or SourceReader(), RULES)
    return record


def fail() -> None:
    # one line before
    raise ValueError("broken")  # the line
    # one line after


def run(code: str, filename: str = "<string>", name: str = "generated") -> BaseException:
    return caught(exec, compile(code, filename, "exec"), {"__name__": name})


def event_of(error: BaseException) -> dict[str, Any]:
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


def test_a_frame_has_its_place_and_five_lines_around_it() -> None:
    frame = read(caught(fail)).frames[-1]
    assert (frame.function, frame.module) == ("fail", __name__)
    assert frame.abs_path == __file__
    assert frame.context_line == '    raise ValueError("broken")  # the line'
    assert frame.pre_context is not None
    assert len(frame.pre_context) == 5
    assert frame.pre_context[-2:] == ["def fail() -> None:", "    # one line before"]
    assert frame.post_context is not None
    assert frame.post_context[0] == "    # one line after"
    assert frame.in_app is True


def test_a_frame_at_the_edge_of_its_file_has_the_lines_there_are(tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    path.write_text("1 / 0\n")
    frame = read(run("1 / 0\n", str(path))).frames[-1]
    assert (frame.pre_context, frame.context_line, frame.post_context) == (None, "1 / 0", None)


def test_notes_follow_the_message() -> None:
    captured = CapturedException("E", None, "message", (), notes=("first", "second"))
    [record] = read_exceptions([captured], SourceReader(), RULES)
    assert record.value == "message\nfirst\nsecond"


def test_what_was_captured_about_chain_and_limits_is_kept() -> None:
    captured = CapturedException(
        "E", "m", "v", (), "exceptions", 3, 0, True, omitted_frames=7, omitted_exceptions=8
    )
    [record] = read_exceptions([captured], SourceReader(), RULES)
    assert record == ExceptionRecord("E", "v", "m", (), "exceptions", 3, 0, True, 7, 8)


def test_lone_surrogates_become_text_that_utf8_carries() -> None:
    captured = CapturedException("E", None, "bad \udc80 byte", ())
    [record] = read_exceptions([captured], SourceReader(), RULES)
    assert record.value == "bad \\udc80 byte"


def test_local_variables_stay_with_their_own_sighting() -> None:
    source = SourceReader()
    code = fail.__code__
    both: tuple[LocalVariables, ...] = ({"a": "1"}, {"a": ["2", {"b": "3"}]})
    for variables in both:
        frames = (CapturedFrame(code, 1, __name__, variables),)
        captured = CapturedException("E", None, "", frames)
        [record] = read_exceptions([captured], source, RULES)
        assert record.frames[0].vars == variables


# Sources that are hard to find


def test_source_inside_a_zip_archive_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "application.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped_module.py", "def fail():\n    raise ValueError('zipped')\n")
    monkeypatch.syspath_prepend(str(archive))
    module: Any = importlib.import_module("zipped_module")
    frame = read(caught(module.fail)).frames[-1]
    assert frame.context_line == "    raise ValueError('zipped')"
    assert frame.filename == "zipped_module.py"


def test_a_vanished_file_leaves_the_frame_without_lines(tmp_path: Path) -> None:
    frame = read(run("\n1 / 0", str(tmp_path / "gone.py"))).frames[-1]
    assert (frame.function, frame.lineno, frame.context_line) == ("<module>", 2, None)


def test_a_file_that_became_shorter_leaves_the_frame_without_lines(tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    path.write_text("x = 1\n")
    assert read(run("\n" * 50 + "1 / 0", str(path))).frames[-1].context_line is None


def test_a_loader_that_fails_does_not_cost_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenLoader:
        def get_source(self, name: str) -> str:
            raise RuntimeError

    module = ModuleType("strangely_loaded")
    module.__dict__["__loader__"] = BrokenLoader()
    monkeypatch.setitem(sys.modules, "strangely_loaded", module)
    frame = read(run("1 / 0", "strange.py", "strangely_loaded")).frames[-1]
    assert (frame.module, frame.context_line) == ("strangely_loaded", None)


@pytest.mark.parametrize("path", ["bad\0path.py", "bad\udc80path.py", "", "x" * 5000])
def test_a_strange_path_does_not_cost_the_frame(path: str) -> None:
    code = compile("1 / 0", "<string>", "exec").replace(co_filename=path)
    captured = CapturedException("E", None, "", (CapturedFrame(code, 1, None),))
    [record] = read_exceptions([captured], SourceReader(), RULES)
    assert record.frames[0].function == "<module>"
    assert len(record.frames[0].abs_path or "") <= 1024


def test_a_very_long_line_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "minified.py"
    path.write_text("x = '" + "y" * 10_000 + "'; 1 / 0\n")
    line = read(run(path.read_text(), str(path))).frames[-1].context_line
    assert line is not None
    assert len(line) == 500
    assert line.endswith("...")


def test_code_without_a_line_number_has_no_lines() -> None:
    captured = CapturedException("E", None, "", (CapturedFrame(fail.__code__, 0, __name__),))
    [record] = read_exceptions([captured], SourceReader(), RULES)
    assert (record.frames[0].lineno, record.frames[0].context_line) == (None, None)


def test_code_that_hides_itself_from_tracebacks_is_left_out() -> None:
    def hidden() -> None:
        __tracebackhide__ = True
        fail()

    assert [frame.function for frame in read(caught(hidden)).frames] == ["caught", "fail"]


# In-app rules


@pytest.mark.parametrize(
    ("rules", "module", "path", "expected"),
    [
        (InAppRules(project_root="/srv"), "app", "/srv/app.py", True),
        (InAppRules(project_root="/srv"), "lib", "/srv/lib/site-packages/lib.py", False),
        (InAppRules(project_root="/srv"), "json", "/usr/lib/python3/json.py", None),
        (InAppRules(exclude=("app",), project_root="/srv"), "app.part", "/srv/app.py", False),
        (InAppRules(include=("lib",)), "lib.part", "/x/site-packages/lib.py", True),
        (InAppRules(include=("lib",), exclude=("lib",)), "lib", "/x/lib.py", True),
        (InAppRules(include=("lib",)), "library", "/x/site-packages/library.py", False),
        (InAppRules(), None, None, None),
    ],
)
def test_the_rules_of_sentrys_sdk_say_which_frames_are_the_applications(
    rules: InAppRules, module: str | None, path: str | None, expected: bool | None
) -> None:
    assert rules.judge(module, path) is expected


# The cache


def test_a_frame_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceReader()
    error = caught(fail)
    first = read(error, source)
    monkeypatch.setattr(linecache, "getlines", lambda *args: pytest.fail("read again"))
    second = read(error, source)
    assert second == first
    assert second.frames[-1] is first.frames[-1]


def test_other_rules_judge_a_remembered_frame_anew() -> None:
    source = SourceReader()
    captured = [capture(caught(fail))]
    [first] = read_exceptions(captured, source, RULES)
    [second] = read_exceptions(captured, source, InAppRules(exclude=(__name__,)))
    assert (first.frames[-1].in_app, second.frames[-1].in_app) == (True, False)


def test_equal_code_in_two_files_is_not_confused(tmp_path: Path) -> None:
    source = SourceReader()
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("1 / 0\n")
        assert read(run("1 / 0\n", str(tmp_path / name)), source).frames[-1].abs_path == str(
            tmp_path / name
        )


def test_generated_code_does_not_fill_the_memory() -> None:
    source = SourceReader(max_frames=10)
    for n in range(100):
        read(run(f"{n} / 0"), source)
    assert len(source._finished) == 10


# Recorded texts


def test_a_recorded_text_gives_the_same_record_as_the_exception_itself() -> None:
    error = caught(fail)
    assert read_exception_event(event_of(error), SourceReader(), RULES) == (read(error),)


def test_frames_of_opentelemetry_in_a_recorded_text_are_removed() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    spans = []

    def program() -> None:
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
        with tracer.start_as_current_span("span") as span:
            spans.append(span)
            fail()

    caught(program)
    [event] = spans[0].events  # type: ignore[attr-defined]
    assert "use_span" in event.attributes["exception.stacktrace"]
    [record] = read_exception_event(event.attributes, SourceReader(), RULES)
    assert [frame.function for frame in record.frames] == ["program", "fail"]


def test_a_text_of_another_version_of_the_file_is_believed_as_it_stands() -> None:
    text = event_of(caught(fail))["exception.stacktrace"].replace("# the line", "# another")
    [record] = read_exception_event({"exception.stacktrace": text}, SourceReader(), RULES)
    frame = record.frames[-1]
    assert frame.context_line is not None
    assert frame.context_line.endswith("# another")
    assert (frame.pre_context, frame.post_context) == (None, None)


def test_a_text_cannot_make_us_open_files_that_are_not_importable(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("known line\nsecret line\n")
    text = (
        "Traceback (most recent call last):\n"
        f'  File "{secret}", line 1, in f\n    known line\nValueError: x\n'
    )
    [record] = read_exception_event({"exception.stacktrace": text}, SourceReader(), RULES)
    assert record.frames[0].post_context is None


def test_recorded_type_and_message_win_over_the_text() -> None:
    event = event_of(caught(fail))
    event["exception.type"], event["exception.message"] = "json.decoder.OtherError", "other"
    [record] = read_exception_event(event, SourceReader(), RULES)
    assert (record.module, record.type, record.value) == ("json.decoder", "OtherError", "other")
    assert record.frames


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, ("Error", "")),
        ({"exception.message": "only text"}, ("", "only text")),
        ({"exception.type": "KeyError"}, ("KeyError", "")),
        (
            {
                "exception.type": "TypeError",
                "exception.message": "x is undefined",
                "exception.stacktrace": "TypeError: x is undefined\n    at f (a.js:1:2)",
            },
            ("TypeError", "x is undefined\n    at f (a.js:1:2)"),
        ),
        ({"exception.stacktrace": 7, "exception.message": 7}, ("Error", "")),
    ],
)
def test_whatever_is_known_of_an_exception_is_kept(
    attributes: dict[str, Any], expected: tuple[str, str]
) -> None:
    [record] = read_exception_event(attributes, SourceReader(), RULES)
    assert (record.type, record.value) == expected
    assert record.frames == ()


def test_the_module_of_a_file_follows_from_the_import_path() -> None:
    import email.mime.text

    assert module_of_path(email.mime.text.__file__) == "email.mime.text"
    assert module_of_path(email.__file__) == "email"
    assert module_of_path("/nowhere/at/all.py") is None
    assert module_of_path("<string>") is None


def test_frames_of_a_program_elsewhere_are_its_own_but_for_libraries() -> None:
    stacktrace = """Traceback (most recent call last):
  File "/srv/app/main.py", line 3, in run
    go()
  File "/usr/lib/python3.11/json/decoder.py", line 3, in decode
    go()
  File "/srv/venv/lib/python3.12/site-packages/client/core.py", line 3, in send
    go()
ValueError: x
"""
    [record] = read_exception_event(
        {"exception.type": "ValueError", "exception.stacktrace": stacktrace},
        SourceReader(),
        InAppRules(),
    )
    assert [frame.in_app for frame in record.frames] == [True, None, False]

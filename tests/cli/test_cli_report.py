from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import Generation, Outcome, OutcomeKind, Photo, Progress
from declutter_async.cli.exit_codes import ExitCode
from declutter_async.cli.report import Report, duration, outcome_line, outcome_record, photos, progress_line
from declutter_async.errors import (
    BadRequest,
    DeclutterError,
    GenerationTimeout,
    KeyRefused,
    NoPhotosLeft,
    NotSubmitted,
    SubmissionUncertain,
)
from declutter_async.events import Detached, SubmissionEnded, Submitted

URL = "https://h/1.jpg"


def outcome(
    kind: OutcomeKind, *, error: DeclutterError | None = None, url: str = URL, **more: object
) -> Outcome:
    return Outcome(photo=Photo(url), kind=kind, error=error, **more)  # type: ignore[arg-type]


def figures(**more: object) -> Progress:
    values: dict[str, object] = {
        "total": 10,
        "read": 4,
        "kinds": dict.fromkeys(OutcomeKind, 1),
        "submitting": 0,
        "running": 2,
        "spent": 3,
        "balance": 7,
        "seconds": 2.0,
        "rate": 2.5,
        "eta": 4.0,
    }
    return Progress(**(values | more))  # type: ignore[arg-type]


def submitted(url: str, generation_id: str) -> Submitted:
    return Submitted(generation_id=generation_id, photo=url, remaining_photos=9, seconds=0.1)


def test_unfinished_money_is_listed_and_can_be_watched() -> None:
    report = Report(detached=("id-2", "id-1"), progress=figures())
    for i in (1, 2):
        report.observe(submitted(f"https://h/{i}.jpg", f"id-{i}"))
    report.add(
        outcome(
            OutcomeKind.UNFINISHED,
            generation_id="id-1",
            error=GenerationTimeout("not in time", generation_id="id-1"),
        )
    )
    text = "\n".join(report.lines())
    assert "id-1  not in time" in text
    assert "Paid for and left running; nothing is lost:\n  id-2  https://h/2.jpg" in text
    assert report.next_command() == "declutter-async watch id-1 id-2"
    assert report.exit_code is ExitCode.UNSETTLED
    assert report.record()["unfinished"] == ["id-1", "id-2"]


def test_uncertain_photos_are_named_once_even_if_nobody_took_their_outcome() -> None:
    report = Report()
    error = SubmissionUncertain("no whole answer")
    report.observe(SubmissionEnded(photo=URL, error=error, seconds=1.0))
    report.observe(SubmissionEnded(photo="https://h/refused.jpg", error=BadRequest("no"), seconds=1.0))
    report.observe(Detached(generation_id="x"))
    report.add(outcome(OutcomeKind.UNCERTAIN, error=error))
    assert list(report.uncertain) == [URL]
    assert "look for them in your account before you submit them again" in "\n".join(report.lines())
    assert report.exit_code is ExitCode.UNSETTLED
    assert report.next_command() is None


def test_many_are_counted_not_listed() -> None:
    report = Report()
    for number in range(50):
        report.add(outcome(OutcomeKind.UNFINISHED, generation_id=f"id-{number}"))
    lines = list(report.lines())
    assert "  and 30 more" in lines
    assert len(lines) < 30


def test_a_refused_account_is_told_and_checked_next() -> None:
    report = Report()
    report.add(outcome(OutcomeKind.SKIPPED, error=KeyRefused("the API key is refused")))
    report.add(outcome(OutcomeKind.SKIPPED, error=NotSubmitted("not submitted", reason="account")))
    assert "The account: the API key is refused" in list(report.lines())
    assert report.next_command() == "declutter-async check"
    assert report.exit_code is ExitCode.ACCOUNT


@pytest.mark.parametrize("reached", [True, False])
def test_an_empty_account_is_filled_and_not_checked(*, reached: bool) -> None:
    error: DeclutterError = NoPhotosLeft("no photos left")
    if not reached:
        left_out = NotSubmitted("not submitted", reason="account")
        left_out.__cause__ = error
        error = left_out
    report = Report()
    report.add(outcome(OutcomeKind.SKIPPED, error=error))
    assert str(report.next_command()).startswith("buy photos in the service's Developer Space; then")


SENT = st.sampled_from(["taken", "left", "uncertain", "unread"])


@given(fates=st.lists(SENT, max_size=30), unanswered=st.integers(0, 3))
def test_after_a_second_ctrl_c_every_photo_is_accounted_for(fates: list[str], unanswered: int) -> None:
    report = Report(left=True, unanswered=unanswered)
    for number, fate in enumerate(fates):
        url, generation_id = f"https://h/{number}.jpg", f"id-{number}"
        if fate in {"taken", "left"}:
            report.observe(submitted(url, generation_id))
        if fate == "taken":
            report.add(outcome(OutcomeKind.DELIVERED, generation_id=generation_id, url=url))
        elif fate == "uncertain":
            error = SubmissionUncertain("no whole answer")
            report.observe(SubmissionEnded(photo=url, error=error, seconds=1.0))
    report.detached = tuple(f"id-{number}" for number, fate in enumerate(fates) if fate == "left")
    report.progress = figures(total=len(fates) + unanswered, read=0)
    assert report.not_submitted == fates.count("unread")
    assert report.left_running == {
        f"id-{number}": f"https://h/{number}.jpg" for number, fate in enumerate(fates) if fate == "left"
    }
    first = next(report.lines())
    assert f"{fates.count('taken')} delivered, {fates.count('left')} left running" in first
    assert first.endswith(f"{fates.count('unread')} not submitted")


def test_of_a_broken_answer_the_id_is_kept_with_its_photo() -> None:
    report = Report(left=True, detached=("id-1",), progress=figures(total=1))
    error = SubmissionUncertain("no whole answer", generation_id="id-1")
    report.observe(SubmissionEnded(photo=URL, error=error, seconds=1.0))
    assert report.left_running == {"id-1": URL}
    assert report.not_submitted == 0


def test_how_many_are_not_submitted_is_not_guessed() -> None:
    report = Report(left=True, progress=figures(total=None))
    assert report.record()["not_submitted"] is None
    assert next(report.lines()).endswith("the rest not submitted")


def test_what_failed_is_to_be_run_alone() -> None:
    report = Report()
    report.add(outcome(OutcomeKind.DELIVERED, generation_id="id-1"))
    assert report.next_command() == (
        "declutter-async status id-1   (free of charge; gives its URLs anew once they expire)"
    )
    report.add(outcome(OutcomeKind.FAILED, error=BadRequest("no picture")))
    told = str(report.next_command())
    assert "the FAILED ones alone" in told
    assert "correct the URL of one that was refused first" in told
    report.add(outcome(OutcomeKind.SKIPPED, error=NotSubmitted("budget", reason="budget")))
    assert "the SKIPPED and FAILED ones alone" in str(report.next_command())
    assert report.exit_code is ExitCode.SOME_LEFT


def test_a_list_that_broke_off_is_told() -> None:
    report = Report(trouble="Input/output error")
    report.add(outcome(OutcomeKind.DELIVERED))
    assert "The list of photos could not be read to its end: Input/output error" in list(report.lines())
    assert report.exit_code is ExitCode.SOME_LEFT


def test_the_line_of_a_photo() -> None:
    delivered = outcome(
        OutcomeKind.DELIVERED,
        generation=Generation("id-1", 9),
        urls=("https://h/r.jpg",),
        files=(Path("out/r.jpg"),),
    )
    assert outcome_line(delivered) == f"DELIVERED   id-1  {URL}  {Path('out/r.jpg')}"
    assert outcome_line(outcome(OutcomeKind.DELIVERED, urls=("https://h/r.jpg",))).endswith("https://h/r.jpg")
    failed = outcome(OutcomeKind.FAILED, error=BadRequest("no picture"))
    assert outcome_line(failed) == f"FAILED      -  {URL}  no picture"
    assert outcome_line(outcome(OutcomeKind.SKIPPED)) == f"SKIPPED     -  {URL}"


def test_the_record_of_a_photo() -> None:
    record = outcome_record(outcome(OutcomeKind.FAILED, error=BadRequest("no picture"), seconds=1.23456))
    assert record["kind"] == "FAILED"
    assert record["url"] == URL
    assert record["seconds"] == 1.235
    assert record["error"] == {"type": "BadRequest", "message": "no picture", "money": "none"}


def test_the_progress_in_a_line() -> None:
    assert progress_line(figures()) == (
        "5 of 10 photos done, 2 running, 3 photos spent, 7 left on the account, 2.5 photos/s, about 4.0 s left"
    )
    assert progress_line(figures(total=None, balance=None, rate=0.5, eta=None)) == (
        "5 photos done, 2 running, 3 photos spent, balance not known yet, 30.0 photos/min"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min"), (7384, "2 h 03 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e7))
def test_a_duration_never_shows_sixty_of_anything(seconds: float) -> None:
    assert not re.search(r"\b60(\.0)? (s|min)", duration(seconds))


def test_one_photo_is_no_plural() -> None:
    assert photos(1) == "1 photo"
    assert photos(0) == "0 photos"

"""The error tree: as drawn, all of it public, and nothing lost on the way to another process."""

import copy
import inspect
import pickle
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declutter_async import GenerationState, Status, errors
from declutter_async.errors import DeclutterError

ID = "c9a4d6f2-3b58-4e0f-8f61-27b0e5a9d814"
CLASSES = sorted(
    (found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, DeclutterError)),
    key=lambda found: found.__name__,
)
MONEY = {
    "SubmissionUncertain": "unknown",
    "GenerationTimeout": "spent",
    "DownloadFailed": "spent",
}


def drawn_tree() -> dict[str, str]:
    """Child -> parent, as the docstring's picture has it."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        picture, mark, rest = line.partition("── ")
        if not mark:
            if line.strip() == "DeclutterError":
                above = ["DeclutterError"]
            continue
        depth = len(picture) // 4  # the picture is indented by four, and by four more for each level
        parents[rest.split()[0]] = above[depth - 1]
        above[depth:] = [rest.split()[0]]
    return parents


def real_tree() -> dict[str, str]:
    return {
        found.__name__: next(base.__name__ for base in found.__bases__ if issubclass(base, DeclutterError))
        for found in CLASSES
        if found is not DeclutterError
    }


def full(cls: type[DeclutterError]) -> DeclutterError:
    """An error of this class with everything it can be told."""
    everything: dict[str, Any] = {
        "money": "spent",
        "generation_id": ID,
        "status": 503,
        "service_message": "Bad Gateway é",
        "retry_after": 2.5,
        "where": "$.urls[0]",
        "reason": "budget",
        "worth_repeating": True,
        "state": GenerationState(ID, Status.FAILED, variation_number=2),
    }
    taken = inspect.signature(cls).parameters
    return cls("what happened", **{name: value for name, value in everything.items() if name in taken})


def test_the_drawn_tree_is_the_real_one() -> None:
    assert drawn_tree() == real_tree()
    assert len(CLASSES) > 20


def test_every_class_is_exported_and_has_its_own_words() -> None:
    assert {found.__name__ for found in CLASSES} | {"Money"} == set(errors.__all__)
    assert errors.__all__ == sorted(errors.__all__)
    for found in CLASSES:
        assert "__doc__" in vars(found), found


@pytest.mark.parametrize("cls", CLASSES)
def test_no_retry_decorator_takes_it_for_a_network_error(cls: type[DeclutterError]) -> None:
    assert not issubclass(cls, TimeoutError | OSError | EOFError)
    assert [
        base for base in cls.__mro__ if base.__module__ != errors.__name__ and base is not ValueError
    ] == [
        Exception,
        BaseException,
        object,
    ]


@pytest.mark.parametrize("cls", CLASSES)
def test_money_is_one_of_three_words(cls: type[DeclutterError]) -> None:
    assert cls.default_money in get_args(errors.Money)
    assert cls.default_money == MONEY.get(cls.__name__, "none")
    assert full(cls).money in get_args(errors.Money)


def test_an_id_that_a_broken_answer_showed_does_not_settle_the_money() -> None:
    error = errors.SubmissionUncertain("m", generation_id=ID)
    assert error.generation_id == ID
    assert error.money == errors.SubmissionUncertain("m").money == "unknown"


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "carried",
    [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deep"],
)
def test_it_arrives_with_everything_it_knows(cls: type[DeclutterError], carried: Any) -> None:
    error = full(cls)
    error.add_note("seen by a worker")
    error.__cause__ = full(errors.UnreadableAnswer)
    twin = carried(error)
    assert type(twin) is cls
    assert str(twin) == str(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert vars(twin) is not vars(error)
    assert isinstance(twin.__cause__, errors.UnreadableAnswer)
    assert vars(twin.__cause__) == vars(error.__cause__)


def test_a_foreign_cause_stays_behind_and_stops_nothing() -> None:
    class Unpicklable(Exception):
        def __reduce__(self) -> Any:
            raise TypeError("never")

    error = full(errors.DownloadFailed)
    error.__cause__ = Unpicklable()
    twin = pickle.loads(pickle.dumps(error))
    assert twin.__cause__ is None
    assert not twin.__suppress_context__
    assert vars(twin) == vars(error)


@given(st.text(), st.none() | st.text())
def test_the_generation_is_named_once(message: str, generation_id: str | None) -> None:
    shown = str(DeclutterError(message, generation_id=generation_id))
    assert shown.startswith(message)
    if generation_id is None:
        assert shown == message
    else:
        assert generation_id in shown
        assert shown.count(generation_id) == message.count(generation_id) or generation_id not in message

"""What a batch may spend, against a service that answers late, out of order, brokenly, or never."""

from typing import Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from declutter_async._balance import Balance
from declutter_async._purse import Purse

# --- the balance ---


def test_nothing_is_known_before_an_answer() -> None:
    balance = Balance()
    assert balance.photos is None
    balance.not_told(1.0)
    assert balance.photos is None


def test_an_answer_to_what_was_sent_later_replaces() -> None:
    balance = Balance()
    balance.heard(10, sent=0.0, received=1.0)
    balance.heard(15, sent=1.0, received=2.0)  # refunds meanwhile
    assert balance.photos == 15


def test_of_two_that_were_on_the_way_together_the_lower_holds() -> None:
    for first, second in ((9, 10), (10, 9)):
        balance = Balance()
        balance.heard(first, sent=0.0, received=2.0)
        balance.heard(second, sent=1.0, received=3.0)
        assert balance.photos == 9


def test_a_higher_one_that_did_not_hold_still_counts_against_later_ones() -> None:
    """Refunds lift the account from 10 to 15; one then takes it to 14, and one that had been sent earlier to 13."""
    balance = Balance()
    balance.heard(10, sent=0.0, received=2.0)
    balance.heard(13, sent=1.0, received=3.0)
    assert balance.photos == 10
    balance.heard(14, sent=2.0, received=4.0)
    assert balance.photos == 13


def test_what_nobody_told_counts_until_an_answer_must_know_it() -> None:
    balance = Balance()
    balance.heard(10, sent=0.0, received=1.0)
    balance.not_told(3.0)
    assert balance.photos == 9
    balance.heard(9, sent=2.0, received=4.0)  # it was sent before that ended: it may not know of it
    assert balance.photos == 8
    balance.heard(7, sent=4.0, received=5.0)
    assert balance.photos == 7


def test_a_balance_is_never_below_nothing() -> None:
    balance = Balance()
    balance.heard(0, sent=0.0, received=1.0)
    balance.not_told(2.0)
    assert balance.photos == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10), st.integers(0, 50)), max_size=30))
def test_the_balance_is_the_lowest_of_those_that_none_replaced(answers: list[tuple[int, int, int]]) -> None:
    heard = sorted((sent + took, sent, photos) for sent, took, photos in answers)
    balance = Balance()
    for count, (received, sent, photos) in enumerate(heard, 1):
        balance.heard(photos, sent=sent, received=received)
        known = heard[:count]
        replaced = [any(later >= one[0] for _, later, _ in known) for one in known]
        assert balance.photos == min(one[2] for one, gone in zip(known, replaced, strict=True) if not gone)


def test_the_balance_keeps_no_more_answers_than_were_on_the_way_at_once() -> None:
    balance = Balance()
    for turn in range(1000):
        balance.heard(1000 - turn, sent=float(turn - 16), received=float(turn))
    assert len(balance._heard) <= 16
    assert balance.photos == 1


# --- the purse ---


@attrs.define(eq=False)
class Request:
    """A paid request, as the service sees it."""

    sent: int
    left: int | None = None  # photos left, once the service has accepted it
    refused: bool = False


@attrs.define(eq=False)
class Generation:
    failed: bool = False


class Spending(RuleBasedStateMachine):
    """One batch against an account that nobody else uses."""

    @initialize(account=st.integers(0, 12), budget=st.none() | st.integers(0, 8), reserve=st.integers(0, 6))
    def begin(self, account: int, budget: int | None, reserve: int) -> None:
        self.account = account
        self.purse = Purse(budget=budget, reserve=reserve)
        self.balance = Balance()
        self.clock = 0
        self.on_the_way: list[Request] = []
        self.running: list[Generation] = []
        self.maybe_spent = 0  # uncertain
        self.really_spent = 0  # by the service's books
        self.refunds = 0
        self.decision: Literal["go", "wait", "budget", "reserve"] = "wait"

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    @rule()
    def submit(self) -> None:
        known = self.balance.photos
        self.decision = self.purse.decide(known, self.purse.on_the_way)
        if self.decision != "go":
            return
        if known is not None and self.purse.reserve:
            unseen = sum(request.left is None and not request.refused for request in self.on_the_way)
            assert self.account - unseen - 1 >= self.purse.reserve, "the reserve would be undercut"
        if known is None and self.purse.reserve:
            assert not self.on_the_way, "the first is sent alone"
        self.purse.send()
        self.on_the_way.append(Request(self.tick()))

    @precondition(lambda self: any(r.left is None and not r.refused for r in self.on_the_way))
    @rule(data=st.data(), accept=st.sampled_from([True, True, True, False]))
    def the_service_decides(self, data: st.DataObject, *, accept: bool) -> None:
        undecided = [r for r in self.on_the_way if r.left is None and not r.refused]
        request = data.draw(st.sampled_from(undecided))
        if accept and self.account > 0:
            self.account -= 1
            self.really_spent += 1
            request.left = self.account
        else:
            request.refused = True

    @precondition(lambda self: any(r.left is not None or r.refused for r in self.on_the_way))
    @rule(data=st.data())
    def its_answer_comes(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from([r for r in self.on_the_way if r.left is not None or r.refused]))
        self.on_the_way.remove(request)
        if request.left is None:
            self.purse.not_accepted()
            return
        self.purse.accepted()
        self.running.append(Generation())
        if data.draw(st.sampled_from(["whole", "whole", "broken, with its id"])) == "whole":
            self.balance.heard(request.left, sent=request.sent, received=self.tick())
        else:
            self.balance.not_told(self.tick())

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def its_answer_is_lost(self, data: st.DataObject) -> None:
        """Whatever the service did with it; it may even accept it, but does not get to it later."""
        request = data.draw(st.sampled_from(self.on_the_way))
        self.on_the_way.remove(request)
        self.purse.uncertain()
        self.balance.not_told(self.tick())
        self.maybe_spent += 1

    @precondition(lambda self: any(not generation.failed for generation in self.running))
    @rule(data=st.data())
    def one_fails_and_is_refunded(self, data: st.DataObject) -> None:
        generation = data.draw(st.sampled_from([g for g in self.running if not g.failed]))
        generation.failed = True
        self.account += 1
        self.really_spent -= 1
        self.refunds += 1

    @precondition(lambda self: self.running)
    @rule(data=st.data(), seen=st.booleans())
    def one_ends(self, data: st.DataObject, *, seen: bool) -> None:
        """It is seen to have finished, or its time is up."""
        generation = data.draw(st.sampled_from(self.running))
        self.running.remove(generation)
        self.purse.finished(refunded=seen and generation.failed)

    @invariant()
    def the_budget_holds(self) -> None:
        if self.purse.budget is not None:
            assert self.purse.spent + self.purse.on_the_way <= self.purse.budget
        assert self.really_spent <= self.purse.spent + self.purse.on_the_way

    @invariant()
    def it_counts_what_happened(self) -> None:
        assert self.purse.on_the_way == len(self.on_the_way)
        assert self.purse.running == len(self.running)
        assert self.purse.spent >= self.maybe_spent + len(self.running)

    @invariant()
    def whoever_waits_waits_for_something(self) -> None:
        if not self.on_the_way and not self.running:
            assert self.purse.decide(self.balance.photos, self.purse.on_the_way) != "wait"

    @invariant()
    def an_end_is_for_a_reason(self) -> None:
        decision = self.purse.decide(self.balance.photos, self.purse.on_the_way)
        if decision == "budget":
            assert self.purse.budget is not None
            assert self.purse.spent >= self.purse.budget
        if decision == "reserve" and not self.maybe_spent and not self.refunds:
            assert self.account - 1 < self.purse.reserve or self.balance._untold

    @invariant()
    def what_is_known_is_never_more_than_there_is(self) -> None:
        known = self.balance.photos
        if known is not None:
            assert known <= self.account + len(self.on_the_way)
            if not (self.on_the_way or self.refunds or self.balance._untold):
                assert known == self.account


def test_no_order_of_events_breaks_the_budget_or_the_reserve() -> None:
    run_state_machine_as_test(
        Spending, settings=settings(max_examples=250, stateful_step_count=40, deadline=None)
    )


@pytest.mark.parametrize(
    ("purse", "balance", "decision"),
    [
        (Purse(), None, "go"),
        (Purse(), 0, "go"),  # without a reserve the service itself says when there are none left
        (Purse(budget=0), 5, "budget"),
        (Purse(budget=1), 5, "go"),
        (Purse(budget=1, on_the_way=1), 5, "wait"),
        (Purse(budget=1, spent=1, running=1), 5, "wait"),  # it may be refunded
        (Purse(budget=1, spent=1), 5, "budget"),
        (Purse(reserve=5), None, "go"),
        (Purse(reserve=5, on_the_way=1), None, "wait"),
        (Purse(reserve=5), 6, "go"),
        (Purse(reserve=5), 5, "reserve"),
        (Purse(reserve=5, on_the_way=1), 6, "wait"),
        (Purse(reserve=5, on_the_way=1), 7, "go"),
    ],
)
def test_the_decision(purse: Purse, balance: int | None, decision: str) -> None:
    assert purse.decide(balance, purse.on_the_way) == decision

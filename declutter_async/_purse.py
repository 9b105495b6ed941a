"""What a batch may still spend: pure counting."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.define(kw_only=True)
class Purse:
    """The money of one batch, in photos.

    Attributes:
        budget: Photos that it may spend, or None.
        reserve: Photos to leave on the account.
        spent: Accepted and not refunded, and those that may have been accepted.
        on_the_way: Submissions without an answer yet; each may turn out to be spent.
        running: Accepted and not finished; each may still be refunded.
    """

    budget: int | None = None
    reserve: int = 0
    spent: int = 0
    on_the_way: int = 0
    running: int = 0

    def decide(self, balance: int | None, on_the_way: int) -> Literal["go", "wait", "budget", "reserve"]:
        """Whether one more may be submitted, with `on_the_way` of everybody on this account.

        `"wait"`: that will be seen when something has changed.
        """
        if self.budget is not None and self.spent + self.on_the_way >= self.budget:
            return "wait" if self.on_the_way or self.running else "budget"
        if self.reserve > 0:
            if balance is None:  # the first is sent alone, to learn the balance
                return "wait" if on_the_way else "go"
            if balance - on_the_way - 1 < self.reserve:
                return "wait" if on_the_way else "reserve"
        return "go"

    def send(self) -> None:
        """One more submission is on the way."""
        self.on_the_way += 1

    def not_accepted(self) -> None:
        """A submission was not sent, or was refused."""
        self.on_the_way -= 1

    def uncertain(self) -> None:
        """A submission may have been accepted."""
        self.on_the_way -= 1
        self.spent += 1

    def accepted(self) -> None:
        """A submission was accepted; its generation runs."""
        self.on_the_way -= 1
        self.spent += 1
        self.running += 1

    def finished(self, *, refunded: bool) -> None:
        """A generation runs no more, or is watched no more."""
        self.running -= 1
        if refunded:
            self.spent -= 1

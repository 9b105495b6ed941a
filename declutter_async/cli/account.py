"""Whose account the commands work on: from options and the environment, the key never from an argument."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import attrs
from cyclopts import Group, Parameter

from declutter_async import DeclutterSession
from declutter_async.errors import InvalidArgument
from declutter_async.events import Observer

_GROUP = Group(
    "Account", help="The key: from DECLUTTER_API_KEY or a file, never from an argument that others can see."
)


@Parameter(name="*", group=_GROUP)
@attrs.frozen(kw_only=True)
class Account:
    """Whose account, and where.

    Attributes:
        user_id: UUID of the user [default: DECLUTTER_USER_ID].
        base_url: The service [default: DECLUTTER_BASE_URL, else the service's own].
        api_key_file: File that holds the API key alone [default: the key is in DECLUTTER_API_KEY].
    """

    user_id: Annotated[str | None, Parameter(help="UUID of the user; else DECLUTTER_USER_ID.")] = None
    base_url: Annotated[
        str | None, Parameter(help="Where the service is; else DECLUTTER_BASE_URL, else its own.")
    ] = None
    api_key_file: Annotated[
        Path | None, Parameter(help="File with the API key alone; else DECLUTTER_API_KEY.")
    ] = None

    def session(
        self,
        *,
        observers: tuple[Observer, ...] = (),
        in_flight: int = 32,
        requests_per_second: float | None = None,
        generation_timeout: float = 1800.0,
        outage_timeout: float = 600.0,
    ) -> DeclutterSession:
        """A session on this account. Raises `InvalidArgument` that says what to set."""
        return DeclutterSession(
            api_key=self._api_key(),
            user_id=self._user_id(),
            base_url=self.base_url,
            in_flight=in_flight,
            requests_per_second=requests_per_second,
            generation_timeout=generation_timeout,
            outage_timeout=outage_timeout,
            observers=observers,
        )

    def _api_key(self) -> str | None:
        if self.api_key_file is None:
            if not os.environ.get("DECLUTTER_API_KEY", "").strip():
                raise InvalidArgument(
                    "there is no API key: set DECLUTTER_API_KEY, or give a file that holds it: --api-key-file FILE"
                )
            return None
        try:
            key = self.api_key_file.read_text("utf-8").strip()
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InvalidArgument(f"--api-key-file {self.api_key_file} cannot be read: {why}") from None
        if not key:
            raise InvalidArgument(f"--api-key-file {self.api_key_file} is empty; expected the API key")
        return key

    def _user_id(self) -> str | None:
        if self.user_id is None and not os.environ.get("DECLUTTER_USER_ID", "").strip():
            raise InvalidArgument(
                "there is no user id: set DECLUTTER_USER_ID, or give --user-id UUID (from the service's Developer Space)"
            )
        return self.user_id

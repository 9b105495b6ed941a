"""The three calls: checked, struck by faults, carried out, answered."""

from __future__ import annotations

import asyncio
import hmac
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import web

from declutter_async.emulator import draws
from declutter_async.emulator.books import NoPhotosLeftError, Strike
from declutter_async.emulator.breakage import Struck
from declutter_async.emulator.faults import FAULTS, PAID_CALLS
from declutter_async.emulator.results import Source
from declutter_async.emulator.validation import (
    RefusalError,
    mentioned,
    read_generate,
    read_get,
    read_variation,
)

if TYPE_CHECKING:
    from declutter_async.emulator.background import Tasks
    from declutter_async.emulator.behaviour import Behaviour
    from declutter_async.emulator.books import Account, Generation
    from declutter_async.emulator.clock import TokenBucket
    from declutter_async.emulator.door import Door
    from declutter_async.emulator.draws import Credentials
    from declutter_async.emulator.faults import Fault
    from declutter_async.emulator.fetching import Fetcher, Picture
    from declutter_async.emulator.results import Results, Signer
    from declutter_async.emulator.webhooks import Webhooks

_Answer = tuple[dict[str, Any], "Generation"]
_CarryOut = Callable[[bytes], Coroutine[Any, Any, _Answer]]


@attrs.frozen(kw_only=True)
class Calls:
    """The handlers of the three calls and of the download of results, with all that they need."""

    behaviour: Behaviour
    account: Account
    credentials: Credentials
    limit: TokenBucket | None
    door: Door
    tasks: Tasks
    fetcher: Fetcher
    results: Results
    signer: Signer
    webhooks: Webhooks
    _ordinals: Counter[str] = attrs.field(factory=Counter[str], init=False)

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Answer `generate`."""
        return await self._call("generate", request, self._generate)

    async def generate_variation(self, request: web.Request) -> web.StreamResponse:
        """Answer `generate-variation`."""
        return await self._call("generate-variation", request, self._generate_variation)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer `get`."""
        return await self._call("get", request, self._get)

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Answer the download of a result."""
        self.account.requests["result"] += 1
        generation_id = request.match_info["generation_id"]
        fault = self._draw("result")
        if fault is None:
            return await self._result(request)
        answer = await self._result(request) if _carried_out(fault) else None
        self._note(fault, "result", None, generation_id, charged=False)
        return await FAULTS[fault.name].write(Struck(request, "result", answer, self.door))

    async def _result(self, request: web.Request) -> web.Response:
        try:
            self.signer.check(request.match_info["generation_id"], request.query)
            return await self.results.answer(request)
        except RefusalError as refusal:
            return refuse(refusal)

    async def _call(self, call: str, request: web.Request, carry_out: _CarryOut) -> web.StreamResponse:
        self.account.requests[call] += 1
        wait = 0.0 if self.limit is None else self.limit.wait()
        if wait:
            headers = {"Retry-After": str(math.ceil(wait))}
            return web.json_response({"error": "too many requests"}, status=429, headers=headers)
        body = await request.read()
        fault = self._draw(call)
        if fault is None:
            answer, _ = await self._answer(call, request, body, carry_out)
            return answer
        struck, generation = None, None
        if _carried_out(fault):
            struck, generation = await self._answer(call, request, body, carry_out)
        image_url, asked = mentioned(body)
        made = None if generation is None else generation.generation_id
        paid = call in PAID_CALLS
        self._note(fault, call, image_url, made if paid else asked, charged=paid and made is not None)
        return await FAULTS[fault.name].write(Struck(request, call, struck, self.door))

    async def _answer(
        self, call: str, request: web.Request, body: bytes, carry_out: _CarryOut
    ) -> tuple[web.Response, Generation | None]:
        try:
            self._check_headers(request)
            work = carry_out(body)
            # What is paid for goes on when the client hangs up, as it would at the service.
            fields, generation = await (
                asyncio.shield(self.tasks.spawn(work)) if call in PAID_CALLS else work
            )
        except RefusalError as refusal:
            return refuse(refusal), None
        return web.json_response(fields), generation

    def _check_headers(self, request: web.Request) -> None:
        key = request.headers.get("x-api-key", "")
        if not hmac.compare_digest(key.encode("utf-8", "surrogateescape"), self.credentials.api_key.encode()):
            raise RefusalError(401, "the header x-api-key is missing or wrong")
        if request.content_type != "application/json":
            raise RefusalError(415, "the content type must be application/json")

    def _check_user(self, user_id: str) -> None:
        if user_id != self.credentials.user_id:
            raise RefusalError(403, "unknown user_id")

    def _known(self, generation_id: str) -> Generation:
        generation = self.account.find(generation_id)
        if generation is None:
            raise RefusalError(404, "unknown generation_id")
        return generation

    async def _generate(self, body: bytes) -> _Answer:
        asked = read_generate(body)
        self._check_user(asked.user_id)
        photo, mask = await self.fetcher.pair(asked.image_url, asked.mask_url, ("image_url", "mask_url"))
        generation = self._accept(asked.image_url, asked.mask_url, photo, mask)
        if asked.webhook is not None:
            delivery = self.webhooks.deliver(
                asked.webhook, generation.ends_at, lambda: self._state(generation)
            )
            self.tasks.spawn(delivery)
        return {
            "generation_id": generation.generation_id,
            "remaining_photos": self.account.photos_left,
            "project_id": generation.project_id,
        }, generation

    async def _generate_variation(self, body: bytes) -> _Answer:
        asked = read_variation(body)
        self._check_user(asked.user_id)
        before = self._known(asked.generation_id)
        if self.account.status(before) != "SUCCEEDED":
            raise RefusalError(400, "the generation has not succeeded: there is nothing to vary")
        photo, mask = await self.fetcher.pair(
            asked.original_url, asked.mask_url, ("original_url", "mask_url")
        )
        generation = self._accept(
            asked.original_url, asked.mask_url, photo, mask, project_id=before.project_id
        )
        return {
            "generation_id": generation.generation_id,
            "remaining_photos": self.account.photos_left,
        }, generation

    async def _get(self, body: bytes) -> _Answer:
        asked = read_get(body)
        self._check_user(asked.user_id)
        generation = self._known(asked.generation_id)
        return self._fields(generation), generation

    def _accept(
        self,
        url: str,
        mask_url: str | None,
        photo: Picture,
        mask: Picture | None,
        project_id: str | None = None,
    ) -> Generation:
        key = draws.photo_key(url)
        try:
            fate = draws.fate(self.behaviour, key, self.account.times_accepted(key))
            generation = self.account.accept(url, key, fate, project_id=project_id)
        except NoPhotosLeftError:
            raise RefusalError(402, "no photos left on the account") from None
        source = Source(url, mask_url, (photo.digest, None if mask is None else mask.digest))
        self.results.start(generation, source, photo, mask)
        return generation

    def _fields(self, generation: Generation) -> dict[str, Any]:
        status = self.account.status(generation)
        urls = {"urls": [self.signer.url(generation.generation_id)]} if status == "SUCCEEDED" else {}
        return {"status": status} | urls | {"variationNumber": self.account.variations(generation.project_id)}

    def _state(self, generation: Generation) -> bytes:
        return json.dumps(self._fields(generation)).encode()

    def _draw(self, call: str) -> Fault | None:
        self._ordinals[call] += 1
        return draws.fault(self.behaviour, call, self._ordinals[call])

    def _note(
        self, fault: Fault, call: str, image_url: str | None, generation_id: str | None, *, charged: bool
    ) -> None:
        strike = Strike(
            fault=fault.name,
            call=call,
            when=fault.when,
            image_url=image_url,
            generation_id=generation_id,
            charged=charged,
            uncertain=call in PAID_CALLS and FAULTS[fault.name].uncertain,
        )
        self.account.strikes.append(strike)


def refuse(refusal: RefusalError) -> web.Response:
    """The answer that refuses."""
    return web.json_response({"error": refusal.message}, status=refusal.status)


def _carried_out(fault: Fault) -> bool:
    return fault.when == "after" or FAULTS[fault.name].answered

"""The contract of the three calls as OpenAPI 3.1: the service's page, and what the emulator refuses."""

from __future__ import annotations

from typing import Any

_Json = dict[str, Any]

_UUID: _Json = {"type": "string", "format": "uuid"}
_URL: _Json = {
    "type": "string",
    "format": "uri",
    "pattern": "^https?://",
    "examples": ["https://example.com/1.jpg"],
}
_USER_ID = _UUID | {"description": "The unique user id."}
_GENERATION_ID = _UUID | {"description": "The id of a generation."}
_PHOTOS: _Json = {"type": "integer", "minimum": 0, "description": "Photos left after this generation."}
_REFUSALS = {
    400: "A broken body, a missing or wrong field, or a picture that cannot be fetched or used. Nothing is charged.",
    401: "The key is missing or wrong.",
    402: "No photos left.",
    403: "Unknown user_id.",
    404: "Unknown generation_id.",
    413: "The body is over 64 KiB.",
    415: "The content type is not application/json.",
    429: "Too many requests; nothing is charged.",
}


def contract() -> _Json:
    """Build the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Decluttering API, as the declutter-async emulator has it",
            "version": "1",
            "description": "A stand-in for trials and tests. Status codes of refusals are the emulator's own choice: "
            "the service's page names none.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": {
            "/api/declutter_total/generate": {"post": _generate()},
            "/api/declutter_total/generate-variation": {"post": _generate_variation()},
            "/api/declutter_total/get": {"post": _get()},
        },
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": _schemas(),
        },
    }


def _generate() -> _Json:
    delivery: _Json = {
        "summary": "Sent when the generation has finished, with the body of get.",
        "security": [],
        "requestBody": {"required": True, "content": _json("State")},
        "responses": {"2XX": {"description": "Taken; any other answer is followed by another try."}},
    }
    operation = _operation(
        "generate", "Launch a generation; it makes a project.", "Generate", "Generated", (402,)
    )
    return operation | {"callbacks": {"finished": {"{$request.body#/webhook}": {"post": delivery}}}}


def _generate_variation() -> _Json:
    summary = "Launch a variation of a generation that has SUCCEEDED; it takes one photo."
    return _operation("generateVariation", summary, "Vary", "Varied", (402, 404))


def _get() -> _Json:
    return _operation("get", "Look at a generation; nothing changes.", "Get", "State", (404,))


def _operation(name: str, summary: str, asked: str, answered: str, more: tuple[int, ...]) -> _Json:
    refusals = sorted({400, 401, 403, 413, 415, 429, *more})
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": _json(asked)},
        "responses": {"200": {"description": "Accepted.", "content": _json(answered)}}
        | {str(status): _refusal(status) for status in refusals},
    }


def _refusal(status: int) -> _Json:
    answer: _Json = {"description": _REFUSALS[status], "content": _json("Error")}
    if status == 429:
        seconds = {
            "schema": {"type": "integer", "minimum": 1},
            "description": "Seconds to wait.",
            "required": True,
        }
        answer["headers"] = {"Retry-After": seconds}
    return answer


def _json(schema: str) -> _Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _schemas() -> _Json:
    flag = {"type": "boolean", "description": "Find the objects to remove automatically."}
    mask = _URL | {"description": "A picture of the photo's size, white where something is to go. Not on the "
                   "service's page, which asks for a mask without auto but names no field for it."}  # fmt: skip
    generated = {"generation_id": _GENERATION_ID, "remaining_photos": _PHOTOS}
    automatic = {
        "required": ["auto"],
        "properties": {"auto": {"const": True}},
        "not": {"required": ["mask_url"]},
    }
    masked = {"required": ["mask_url"], "properties": {"auto": {"const": False}}}
    return {
        "Generate": _object(
            {"user_id": _USER_ID, "image_url": _URL}, auto=flag, mask_url=mask, webhook=_URL
        ) | {"oneOf": [automatic, masked]},
        "Vary": _object(
            {"user_id": _USER_ID, "generation_id": _GENERATION_ID, "original_url": _URL, "mask_url": _URL}
        ),
        "Get": _object({"user_id": _USER_ID, "generation_id": _GENERATION_ID}),
        "Generated": _closed(generated | {"project_id": _UUID}),
        "Varied": _closed(generated),
        "State": {"oneOf": [
            _state({"enum": ["STARTING", "PROCESSING", "FAILED"]}),
            _state({"const": "SUCCEEDED"}, urls={"type": "array", "items": _URL, "minItems": 1}),
        ]},
        "Error": _closed({"error": {"type": "string"}}),
    }  # fmt: skip


def _state(status: _Json, **more: _Json) -> _Json:
    variations: _Json = {
        "type": "integer",
        "minimum": 0,
        "description": "Variations made on this project so far.",
    }
    return _closed({"status": {"type": "string"} | status} | more | {"variationNumber": variations})


def _object(required: _Json, **optional: _Json) -> _Json:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _closed(properties: _Json) -> _Json:
    return _object(properties) | {"additionalProperties": False}

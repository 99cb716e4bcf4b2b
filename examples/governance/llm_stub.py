"""A language model that fits on one page: OpenAI's chat endpoint with computed answers.

It speaks enough of the protocol for the real client in ``llm.py``, so the example needs no account
and no network. It is a service of its own (``uvicorn examples.governance.llm_stub:app``) and is not
instrumented: like a vendor's API it stays outside the trace.
"""

import hashlib
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MODEL_VERSION: Final = "2026-11"

_BASE_SCORE: Final = 0.7
_WEIGHT_OF_WORD: Final = {
    "consent": 0.1,
    "accessible": 0.1,
    "reversible": 0.1,
    "audited": 0.1,
    "covert": -0.3,
    "irreversible": -0.3,
    "profiling": -0.2,
    "automated": -0.1,
}


def _words(text: str) -> list[str]:
    return [word.strip(".,;:!?").lower() for word in text.split()]


def _score(prompt: str) -> float:
    weights = [_WEIGHT_OF_WORD.get(word, 0.0) for word in set(_words(prompt))]
    return round(min(1.0, max(0.0, _BASE_SCORE + sum(weights))), 2)


def _completion(model: str, prompt: str) -> dict[str, object]:
    answer = f"{_score(prompt):.2f}"
    prompt_tokens = len(_words(prompt))
    return {
        "id": f"chatcmpl-{hashlib.sha256(prompt.encode()).hexdigest()[:12]}",
        "object": "chat.completion",
        "model": f"{model}-{MODEL_VERSION}",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": answer},
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": 1,
            "total_tokens": prompt_tokens + 1,
        },
    }


async def chat_completions(request: Request) -> JSONResponse:
    """``POST /v1/chat/completions``: the same prompt always gets the same score."""
    body = await request.json()
    prompt = " ".join(message["content"] for message in body["messages"])
    return JSONResponse(_completion(body["model"], prompt))


app = Starlette(routes=[Route("/v1/chat/completions", chat_completions, methods=["POST"])])

"""What an issue tells is of its own request, however many run at once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from threading import Barrier, Thread

from opentelemetry._logs import SeverityNumber

from tests.support.told import Told, telling

REQUESTS = 400


async def request(told: Told, tenant: str) -> None:
    logger = told.under_test.logger_provider.get_logger("app")
    attributes = {"sentry.tag.tenant": tenant, "user.id": tenant}
    with told.tracer.start_as_current_span(f"request {tenant}", attributes=attributes) as root:
        for step in range(3):
            await asyncio.sleep(random.random() / 200)
            with told.tracer.start_as_current_span(f"step {step} of {tenant}"):
                logger.emit(severity_number=SeverityNumber.INFO, body=f"note {step} of {tenant}")
                root.add_event(
                    "feature_flag.evaluation",
                    {"feature_flag.key": f"flag of {tenant}", "feature_flag.result.value": True},
                )
                await asyncio.sleep(random.random() / 200)
        raise LookupError(tenant)


def test_the_breadcrumbs_flags_and_tags_of_an_issue_are_of_its_own_request(
    tmp_path: Path,
) -> None:
    tenants = [f"<{number}>" for number in range(REQUESTS)]

    async def requests() -> None:
        await asyncio.gather(*(request(told, tenant) for tenant in tenants), return_exceptions=True)

    with telling(tmp_path / "told.jsonl", issue_budget=10 * REQUESTS) as told:
        asyncio.run(requests())
        issues = told.issues

    assert sorted(issue["exceptions"][0]["value"] for issue in issues) == sorted(tenants)
    for issue in issues:
        tenant = issue["exceptions"][0]["value"]
        told_of = [crumb["message"] for crumb in issue["breadcrumbs"]]
        assert len(told_of) == 6
        assert all(text.endswith(f"of {tenant}") for text in told_of)
        assert [flag["flag"] for flag in issue["flags"]] == [f"flag of {tenant}"]
        assert issue["span"]["attributes"]["user.id"] == tenant


def test_outside_of_spans_an_issue_tells_of_its_own_thread_only(tmp_path: Path) -> None:
    with telling(tmp_path / "told.jsonl") as told:
        logger = told.under_test.logger_provider.get_logger("app")
        both_live = Barrier(2)

        def request(customer: str) -> None:
            both_live.wait(10)  # the number of a thread that ended is given to another
            logger.emit(severity_number=SeverityNumber.INFO, body=f"{customer} bought a wig")
            error = LookupError(customer)
            logger.emit(severity_number=SeverityNumber.ERROR, body="failed", exception=error)
            both_live.wait(10)

        threads = [Thread(target=request, args=(name,)) for name in ("ALICE", "BOB")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        issues = told.issues

    told_of = {
        issue["exceptions"][0]["value"]: [crumb["message"] for crumb in issue["breadcrumbs"]]
        for issue in issues
    }
    assert told_of == {"ALICE": ["ALICE bought a wig"], "BOB": ["BOB bought a wig"]}

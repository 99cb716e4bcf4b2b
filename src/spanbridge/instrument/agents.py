"""``agent_task``: the work of one agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, TypedDict, Unpack

from opentelemetry.context import create_key
from opentelemetry.trace import TracerProvider

from spanbridge.conventions import (
    MULTI_AGENT_AGENT_DATA_SOURCES,
    MULTI_AGENT_AGENT_TYPE,
    MULTI_AGENT_TASK_TIMEOUT_S,
    MULTI_AGENT_TASK_TYPE,
    MultiAgentTaskOutcome,
)
from spanbridge.conventions.upstream import (
    GEN_AI_AGENT_DESCRIPTION,
    GEN_AI_AGENT_ID,
    GEN_AI_AGENT_NAME,
    GEN_AI_AGENT_VERSION,
    GEN_AI_CONVERSATION_ID,
    GEN_AI_OPERATION_INVOKE_AGENT,
    GEN_AI_OPERATION_NAME,
    GEN_AI_PROVIDER_NAME,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
)
from spanbridge.instrument.given import mapping_of, named_attributes, text_of
from spanbridge.instrument.operation import Operation, record
from spanbridge.instrument.run import Run, current_run


class AgentTaskValues(TypedDict, total=False):
    """What can be said about an agent's work, at its start, during it or afterwards."""

    agent_id: str
    agent_type: str
    """The role of the agent among its peers."""
    description: str
    version: str
    data_sources: Iterable[str]
    task_type: str
    timeout_s: float
    """The limit that applies, in seconds. It is reported, not enforced."""
    conversation_id: str
    """Only if there is one; never make one up."""
    provider: str
    model: str
    input_tokens: int
    output_tokens: int


class AgentTaskRun(Run):
    """An agent at work."""

    context_key: ClassVar[str] = create_key("spanbridge.instrument.agent_task")
    names: ClassVar[Mapping[str, str]] = {
        "agent_id": GEN_AI_AGENT_ID,
        "agent_type": MULTI_AGENT_AGENT_TYPE,
        "description": GEN_AI_AGENT_DESCRIPTION,
        "version": GEN_AI_AGENT_VERSION,
        "data_sources": MULTI_AGENT_AGENT_DATA_SOURCES,
        "task_type": MULTI_AGENT_TASK_TYPE,
        "timeout_s": MULTI_AGENT_TASK_TIMEOUT_S,
        "conversation_id": GEN_AI_CONVERSATION_ID,
        "provider": GEN_AI_PROVIDER_NAME,
        "model": GEN_AI_REQUEST_MODEL,
        "input_tokens": GEN_AI_USAGE_INPUT_TOKENS,
        "output_tokens": GEN_AI_USAGE_OUTPUT_TOKENS,
    }

    def set(self, **values: Unpack[AgentTaskValues]) -> None:
        """Say more about the work."""
        self.set_attributes(named_attributes(AgentTaskRun.names, values, "AgentTaskRun"))


def agent_task(
    agent: str,
    *,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **values: Unpack[AgentTaskValues],
) -> Operation[AgentTaskRun]:
    """A span ``invoke_agent {agent}`` around a function or a block.

    Its outcome (``ok``, ``error``, ``timeout``, ``cancelled``) is taken from what ends the work.

    Args:
        agent: The agent's name; few values.
        attributes: Further attributes, of any type.
        tracer_provider: Instead of the global one; costs a look-up.
        **values: See :class:`AgentTaskValues`.

    Example:
        >>> with agent_task("ethics", task_type="assess_proposal") as task:
        ...     task.set(output_tokens=120)
    """
    return Operation(
        AgentTaskRun,
        f"invoke_agent {text_of(agent)}",
        {
            GEN_AI_OPERATION_NAME: GEN_AI_OPERATION_INVOKE_AGENT,
            GEN_AI_AGENT_NAME: agent,
            **named_attributes(AgentTaskRun.names, values, "AgentTaskRun"),
            **mapping_of(attributes),
        },
        tracer_provider,
    )


def record_agent_task(
    agent: str,
    *,
    duration_s: float,
    end_time_ns: int | None = None,
    outcome: MultiAgentTaskOutcome | None = None,
    error: BaseException | None = None,
    attributes: Mapping[str, object] | None = None,
    tracer_provider: TracerProvider | None = None,
    **values: Unpack[AgentTaskValues],
) -> None:
    """Record an agent's work that is finished.

    Args:
        agent: The agent's name; few values.
        duration_s: How long it took, in seconds.
        end_time_ns: When it ended, as Unix time in nanoseconds; now by default.
        outcome: How it ended; ``ok`` by default.
        error: What it failed with; decides the outcome.
        attributes: Further attributes, of any type.
        tracer_provider: Instead of the global one.
        **values: See :class:`AgentTaskValues`.
    """
    operation = agent_task(agent, attributes=attributes, tracer_provider=tracer_provider, **values)
    record(operation, duration_s, end_time_ns, outcome, error)


def current_agent_task() -> AgentTaskRun:
    """The agent's work around the caller, for code inside a decorated function.

    Returns:
        A run that records nothing if there is none.
    """
    return current_run(AgentTaskRun)

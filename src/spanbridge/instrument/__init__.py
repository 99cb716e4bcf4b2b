"""Helpers that write spans for agents, consensus and governance with OpenTelemetry's API alone.

Each of :func:`agent_task`, :func:`consensus`, :func:`validation` and :func:`violation` is a
decorator and a context manager, for sync and async code; each ``record_…`` function writes the
same for work that is finished already. :func:`stream` is for generators and iterators. Without a
configured provider they cost next to nothing. The attributes they set are listed on the reference
page of the attributes.

:func:`bound` and :func:`bind` put ids of a tenant, user, session or conversation on whatever a
piece of work writes. :func:`continued_from`, :func:`continued_from_environment` and
:func:`environment_for_child` take a trace over queues and into other processes.

The glue for a web framework is imported on its own: :mod:`spanbridge.instrument.fastapi`,
:mod:`spanbridge.instrument.flask`.
"""

from spanbridge.instrument.agents import (
    AgentTaskRun,
    AgentTaskValues,
    agent_task,
    current_agent_task,
    record_agent_task,
)
from spanbridge.instrument.bound import WellKnownIds, bind, bound
from spanbridge.instrument.carriers import (
    continued_from,
    continued_from_environment,
    environment_for_child,
)
from spanbridge.instrument.consensus import (
    ConsensusRun,
    ConsensusValues,
    DecisionValues,
    RoundRun,
    consensus,
    current_consensus,
    record_consensus,
)
from spanbridge.instrument.context_block import ContextBlock
from spanbridge.instrument.governance import (
    ValidationRun,
    ValidationValues,
    ViolationContext,
    ViolationRun,
    current_validation,
    record_validation,
    record_violation,
    validation,
    violation,
)
from spanbridge.instrument.operation import Operation
from spanbridge.instrument.run import Run
from spanbridge.instrument.streams import Stream, stream
from spanbridge.instrument.values import AttributeValue, attribute_value
from spanbridge.instrument.violations import ConstitutionalViolation

__all__ = [
    "AgentTaskRun",
    "AgentTaskValues",
    "AttributeValue",
    "ConsensusRun",
    "ConsensusValues",
    "ConstitutionalViolation",
    "ContextBlock",
    "DecisionValues",
    "Operation",
    "RoundRun",
    "Run",
    "Stream",
    "ValidationRun",
    "ValidationValues",
    "ViolationContext",
    "ViolationRun",
    "WellKnownIds",
    "agent_task",
    "attribute_value",
    "bind",
    "bound",
    "consensus",
    "continued_from",
    "continued_from_environment",
    "current_agent_task",
    "current_consensus",
    "current_validation",
    "environment_for_child",
    "record_agent_task",
    "record_consensus",
    "record_validation",
    "record_violation",
    "stream",
    "validation",
    "violation",
]

"""Prompts, answers and arguments of every dialect are private, whatever they are called."""

from __future__ import annotations

from typing import Any

import pytest

from spanbridge.privacy.keys import Treatment, is_event_content, treatment
from spanbridge.privacy.policy import PrivacyPolicy
from spanbridge.sentry.convert.dialects import names
from tests.support.spans import record

# What the instrumentations wrote for one conversation, without what they wrote.
OPENINFERENCE = """
input.value output.value llm.tools.0.tool.json_schema llm.input_messages.0.message.role
llm.input_messages.0.message.content llm.input_messages.2.message.tool_call_id
llm.input_messages.2.message.contents.0.message_content.text
llm.input_messages.2.message.contents.0.message_content.image.image.url
llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments
llm.prompts.0.prompt.text llm.choices.0.completion.text llm.function_call
llm.prompt_template.template llm.prompt_template.variables embedding.embeddings.0.embedding.text
embedding.embeddings.0.embedding.vector retrieval.documents.0.document.content
retrieval.documents.0.document.metadata reranker.query reranker.input_documents.0.document.content
tool.parameters tool.json_schema input.images output.images input.documents.0.document.content
evaluation.explanation
"""
OPENLLMETRY = """
gen_ai.prompt.0.role gen_ai.prompt.0.content gen_ai.prompt.1.tool_calls.0.arguments
gen_ai.completion.0.content gen_ai.completion.0.tool_calls.0.arguments llm.prompts.0.content
llm.completions.0.content llm.request.functions.0.name llm.request.functions.0.description
llm.request.functions.0.parameters traceloop.entity.input traceloop.entity.output
traceloop.prompt.template traceloop.prompt.template_variables mcp.response.value
mcp.request.argument mcp.session.init_options gen_ai.task.input gen_ai.task.output
gen_ai.request.structured_output_schema crewai.agent.goal crewai.agent.backstory
crewai.task.description crewai.crew.result
"""
OPENTELEMETRY = """
gen_ai.input.messages gen_ai.output.messages gen_ai.system_instructions gen_ai.tool.definitions
gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.retrieval.query.text
gen_ai.retrieval.documents gen_ai.memory.query.text gen_ai.memory.records
gen_ai.evaluation.explanation gen_ai.prompt gen_ai.completion gen_ai.embeddings.input
gen_ai.prompt.variable.city
"""
OTHERS = """
langfuse.observation.input langfuse.observation.output langfuse.trace.input agentops.entity.input
agentops.entity.output gen_ai.content.prompt gen_ai.content.completion gen_ai.tool.args
pydantic_ai.all_messages all_messages_events events final_result tool_arguments tool_response
model_request_parameters ai.prompt ai.prompt.messages ai.prompt.tools ai.prompt.format
ai.response.text ai.response.object ai.response.toolCalls ai.response.reasoning ai.toolCall.args
ai.toolCall.result ai.value ai.values ai.embedding gcp.vertex.agent.llm_request
gcp.vertex.agent.llm_response gcp.vertex.agent.tool_call_args gcp.vertex.agent.tool_response
gcp.vertex.agent.data mcp.request.argument.city mcp.tool.result.content
mcp.tool.result.0.content mcp.prompt.result.0.content mcp.prompt.result.message_content
mcp.logging.message anthropic.tool_result.content ai.input_messages ai.preamble ai.texts
mlflow.spanInputs mlflow.spanOutputs mlflow.spanInputs.messages.0.role mlflow.spanOutputs.choices
mlflow.chat.messages mlflow.chat.tools mlflow.traceInputs haystack.component.input
haystack.component.output haystack.component.input.prompt_builder.question
haystack.component.output.replies.0 haystack.pipeline.input_data haystack.pipeline.output_data
haystack.pipeline.input_data.retriever.top_k haystack.agent.input haystack.agent.tools
messages request.body response.body
"""
TOLD = """
gen_ai.operation.name gen_ai.agent.name gen_ai.request.model gen_ai.usage.input_tokens
gen_ai.prompt.name gen_ai.tool.name gen_ai.response.finish_reasons gen_ai.conversation.id
gen_ai.response.time_to_first_token gen_ai.server.time_to_first_token llm.model_name
llm.token_count.prompt llm.finish_reason openinference.span.kind traceloop.entity.name
mcp.method.name mcp.resource.uri mcp.session.id mcp.tool.result.content_count
mcp.tool.result.is_error multi_agent.usage.input ai.model.id ai.usage.promptTokens
gen_ai.embeddings.dimension.count llm.is_streaming mlflow.spanType mlflow.spanFunctionName
mlflow.traceRequestId mlflow.chat.tokenUsage haystack.component.name haystack.component.type
haystack.component.input_types haystack.component.visits haystack.pipeline.metadata
input output inputs outputs message request.body.size messages.count
"""


@pytest.mark.parametrize(
    "name", [*OPENINFERENCE.split(), *OPENLLMETRY.split(), *OPENTELEMETRY.split(), *OTHERS.split()]
)
def test_content_of_every_dialect_is_content(name: str) -> None:
    assert treatment(name) is Treatment.CONTENT
    assert treatment(f"sentry.tag.{name}") is Treatment.CONTENT


@pytest.mark.parametrize("name", TOLD.split())
def test_what_only_tells_of_a_call_stays(name: str) -> None:
    assert treatment(name) is Treatment.KEEP


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *(old for old, new in names.RENAMED.items() if new in names.CONTENT),
            *names.CONTENT,
            *names.ENTITY_INPUTS,
            *names.ENTITY_OUTPUTS,
            *(f"{prefix}0.anything" for prefix in names.FAMILIES),
        }
    ),
)
def test_whatever_becomes_content_was_content_before(name: str) -> None:
    assert treatment(name) is Treatment.CONTENT


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("gen_ai.user.message", "content"),
        ("gen_ai.choice", "message"),
        ("gen_ai.choice", "tool.result"),
        ("gen_ai.content.prompt", "prompt"),
        ("llm.content.completion.chunk", "chunk"),
    ],
)
def test_messages_in_events_are_content(event: str, field: str) -> None:
    assert is_event_content(event, field)


PARAMETERS = (
    '{"model":"m","temperature":0.5,"stream":true,"system":"secret","tools":[1],"stop":"x"}'
)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (PARAMETERS, '{"model":"m","temperature":0.5,"stream":true}'),
        ('{"system":"secret"}', None),
        ("secret", None),
        ('["secret"]', None),
        ('{"a":' * 5000 + "1" + "}" * 5000, None),
        ({"model": "m", "system": "secret"}, {"model": "m"}),
        (5, None),
    ],
)
def test_of_a_models_parameters_only_numbers_switches_and_its_name_leave(
    value: Any, left: Any
) -> None:
    span = record(1, attributes={"llm.invocation_parameters": value})

    scrubbed = PrivacyPolicy().scrub_span(span).attributes
    assert scrubbed.get("llm.invocation_parameters") == left


def test_the_parameters_leave_whole_if_content_is_asked_for() -> None:
    span = record(1, attributes={"llm.invocation_parameters": PARAMETERS})

    assert PrivacyPolicy(keeps_content=True).scrub_span(span).attributes == span.attributes


@pytest.mark.parametrize("keeps_content", [True, False])
def test_headers_of_a_request_to_a_model_never_leave(keeps_content: bool) -> None:
    span = record(1, attributes={"gen_ai.headers": "{'x-key': 'abc'}"})

    scrubbed = PrivacyPolicy(keeps_content=keeps_content).scrub_span(span)
    assert scrubbed.attributes == {"gen_ai.headers": "[REDACTED]"}

"""GenAI and MCP spans of every dialect in one form: the ``gen_ai.*`` names that Sentry reads.

``names`` says which names there are, as data; ``rewriting`` applies it to the attributes of a span.
"""

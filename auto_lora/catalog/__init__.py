"""Stage 1, tools in: tool definitions from where people have them, checked and linted.

definition.py     one tool; JSON lists of tools
sources.py        which kind a source is, and how it is read
python_module.py  annotated functions with docstrings
openapi.py        the operations of an OpenAPI 3 document
mcp_server.py     what an MCP server offers
schemas.py        walking JSON Schema: references put in their place
grammar_patterns.py  regular expressions in the words of llama.cpp's grammars
lint.py           what llama.cpp's grammar compiler cannot take, and what works instead
show.py           `auto-lora tools SOURCE`
"""

from auto_lora.catalog.definition import ToolDefinition, check_names, parse_tools
from auto_lora.catalog.sources import load_tools

__all__ = ["ToolDefinition", "check_names", "load_tools", "parse_tools"]

"""What business and operations tools are asked for: the words say what the call holds, in the way of those who work with them."""

from __future__ import annotations

import re

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator
from tests.tool_lists import WEATHER, asked, text, tool

NUMBER, FLAG = {"type": "integer"}, {"type": "boolean"}
MERGE = tool(
    "merge_pr", "Merge a pull request.", ["repo", "pr_number"], repo=text("Repository name"),
    pr_number=NUMBER | {"description": "Pull request number"}, delete_branch=FLAG | {"description": "Delete the head branch after merging"},
)  # fmt: skip
LOGS = tool(
    "get_logs", "Fetch logs of a service.", ["service"], service=text("Service name"), namespace=text("Kubernetes namespace"),
    level=text("Minimum log level", enum=["DEBUG", "INFO", "WARN", "ERROR"]),
)  # fmt: skip
QUERY = tool("Database.query", "Query a table of the database.", ["table"], table=text("Table name"))
INVOICE = tool(
    "create_invoice", "Create an invoice for a customer.", ["customer", "amount"], customer=text("Customer name"),
    amount={"type": "number", "description": "Amount to bill"}, send=FLAG | {"description": "Whether to email the invoice right away"},
)  # fmt: skip
LEAVE = tool(
    "approve_leave", "Approve or reject a leave request.", ["request_id", "decision"], request_id=text("Leave request ID"),
    decision=text("The decision", enum=["approved", "rejected"]), comment=text("Comment to the employee"),
)  # fmt: skip
DEAL = tool(
    "update_deal_stage", "Move a deal to another stage of the sales pipeline.", ["deal_id", "stage"], deal_id=text("ID of the deal"),
    stage=text("New stage", enum=["prospecting", "qualified", "proposal", "negotiation", "won"]), reason=text("Why the stage changed"),
)  # fmt: skip
CONTACT = tool(
    "create_contact", "Create a new contact in the CRM.", ["first_name", "last_name", "email"], first_name=text("First name"),
    last_name=text("Last name"), email=text("Email address", format="email"),
)  # fmt: skip
FILES = tool(
    "search_files", "Recursively search for files matching a pattern.", ["path", "pattern"], path=text("Starting directory"),
    pattern=text("Glob pattern to match, e.g. '*.py'"),
)  # fmt: skip
ASSIGN = tool(
    "assign_ticket", "Assign a ticket to an agent.", ["ticket_id", "assignee"], ticket_id=text("The ticket ID, e.g. TCK-1042"),
    assignee=text("Name or email of the agent"),
)  # fmt: skip
SCALE = tool(
    "scale_deployment", "Scale a Kubernetes deployment to a number of replicas.", ["deployment", "replicas"], deployment=text("Deployment name"),
    replicas=NUMBER | {"description": "Desired number of replicas", "minimum": 0, "maximum": 50},
)  # fmt: skip
RESTART = tool(
    "restart_service", "Restart a running service.", ["service"], service=text("Name of the service")
)
REFUND = tool(
    "refund_order", "Refund an order fully or partially.", ["order_id"], order_id=text("Order number", pattern="^ORD-[0-9]{5}$"),
    reason=text("Reason for the refund"),
)  # fmt: skip
CUSTOMERS = tool(
    "list_customers", "List customers, optionally filtered.", [], status=text("Account status", enum=["active", "trial", "all"]),
    sort_by=text("Field to sort by", enum=["name", "created_at", "revenue"]), order=text("Sort direction", enum=["asc", "desc"]),
)  # fmt: skip
TAIL = tool(
    "get_logs", "Fetch logs of a service.", ["service"], service=text("Service name"), since=text("How far back to look, e.g. '15m', '2h', '1d'"),
    tail=NUMBER | {"description": "Number of lines to return from the end"}, per_page=NUMBER | {"description": "Results per page"},
)  # fmt: skip
HOW = re.compile(
    r"\bhow (?:can|do|would|should)\b|show me how|is there a way|which call|(?:the|i) call to", re.I
)


def test_to_ask_how_is_done_by_who_writes_programs_and_not_by_who_runs_them():
    prompts = [p for t in (MERGE, LOGS) for p, _ in asked(t, 60)]
    assert len(prompts) > 80
    assert not [p for p in prompts if HOW.search(p)]
    assert sum(HOW.search(p) is not None for p, _ in asked(QUERY, 60)) > 3


def test_what_an_argument_says_is_done_too_is_not_said_without_it():
    calls = asked(INVOICE, 90)
    sent = re.compile(r"\b(?:e-?mail|send|mail)(?:ed|ing)?\b", re.I)
    for prompt, given in calls:
        assert "send" in given or not sent.search(re.sub(r"\S+@\S+", "", prompt)), prompt
    assert sum("send" in given for _, given in calls) > 5 and sum("send" not in g for _, g in calls) > 15


def test_what_is_decided_is_the_verb():
    calls = asked(LEAVE, 60)
    yes, no = (
        re.compile(r"\b(?:approv|accept|sign off)", re.I),
        re.compile(r"\b(?:reject|declin|turn down)", re.I),
    )
    for prompt, given in calls:
        rest = prompt.replace(given.get("comment", "\0"), "")
        mine, other = (yes, no) if given["decision"] == "approved" else (no, yes)
        assert mine.search(rest) and not other.search(rest), prompt
    assert {g["decision"] for _, g in calls} == {"approved", "rejected"}


def several(definition, count):
    """The calls of each prompt that asks for several of one tool."""
    made = SyntheticDataGenerator([definition, WEATHER], TrainingConfig(seed=3)).generate(
        count, "train", shares={"parallel": 1.0}
    )
    found = [(c.prompt, c.scored_turns()[0].expected) for c in made]
    return [
        (p, [dict(e.arguments) for e in es]) for p, es in found if {e.name for e in es} == {definition.name}
    ]


def test_one_thing_is_not_set_to_several_states():
    deals, contacts = several(DEAL, 50), several(CONTACT, 30)
    assert len(deals) > 8 and len(contacts) > 3
    for prompt, calls in deals:
        assert len({c["deal_id"] for c in calls}) == len(calls), prompt
    for prompt, calls in contacts:
        assert len({c["first_name"] for c in calls}) > 1 and len({c["last_name"] for c in calls}) > 1, prompt


def test_a_folder_is_not_the_file_that_is_sought():
    calls = asked(FILES, 80)
    sought = 0
    for prompt, given in calls:
        path, pattern = re.escape(given["path"]), re.escape(given["pattern"])
        said = r"(?:file (?:named|called)|do i (?:still )?have|got|where(?:'s| is| did)|locate|find|look for|hunt down) "
        assert not re.search(said + path, prompt, re.I), prompt
        sought += re.search(said + pattern, prompt, re.I) is not None
    assert sought > 5


def count(pattern, prompts):
    return sum(re.search(pattern, p, re.I) is not None for p in prompts)


def test_an_id_stands_with_its_thing_and_a_new_value_is_what_it_becomes():
    merged, assigned = [p for p, _ in asked(MERGE, 60)], [p for p, _ in asked(ASSIGN, 60)]
    assert count(r"\b(?:pr|pull request) #?\d|\bpr #", merged) > len(merged) / 3
    assert count(r"ticket (?:id )?TCK-\d+", assigned) > len(assigned) / 3
    calls = asked(ASSIGN, 60)
    assert sum(f"to {g['assignee']}".lower() in p.lower() for p, g in calls) > len(calls) / 2
    assert count(r"\bto \w+(?: replicas)?\b", [p for p, _ in asked(SCALE, 50)]) > 20


def test_a_deal_is_moved_to_a_stage_and_has_none_before_it():
    calls = asked(DEAL, 60)
    moved = sum(f"to {g['stage']}" in p.lower() for p, g in calls)
    assert not [p for p, g in calls if f"the {g['stage']} stage" in p.lower()] and moved > len(calls) / 2


def test_the_two_parts_of_a_name_are_one():
    calls = asked(CONTACT, 60)
    assert sum(f"{g['first_name']} {g['last_name']}" in p for p, g in calls) > 0.4 * len(calls)


def test_things_are_said_without_what_only_the_definition_says():
    restarts, refunds = [p for p, _ in asked(RESTART, 40)], [p for p, _ in asked(REFUND, 60)]
    assert len(restarts) > 15 and len(refunds) > 25
    assert not count("running|fully", [*restarts, *refunds])
    assert not count(r"\breturn|label|exchange", refunds) and count("refund", refunds) > 20


def test_a_list_is_sorted_by_something_in_an_order():
    calls = asked(CUSTOMERS, 120)
    both = [(p, g) for p, g in calls if {"sort_by", "order"} <= g.keys()]
    assert len(both) > 4
    prompts = [p for p, _ in calls]
    assert not count(
        r"sorted by (?:asc|desc|high|low)|that are all|(?:what|how)(?:'s| is) (?:the )?\w+(?<!s)s\b", prompts
    )


def test_names_that_are_no_nouns_are_not_said_as_such():
    calls = asked(TAIL, 120)
    assert not count(r"\b(?:the|a|with|given|using) (?:since|tail|per page)\b", [p for p, _ in calls])
    assert sum({"since", "tail", "per_page"} & g.keys() != set() for _, g in calls) > 15

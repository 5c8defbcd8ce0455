"""Values of tools at work: money in cents, changes with a sign, reasons, names of colleagues, tickets, queries of databases, meetings."""

from __future__ import annotations

import re

from auto_lora._settings import TrainingConfig
from auto_lora.dialogues import SyntheticDataGenerator
from auto_lora.dialogues.definitions.phrasebook import phrases
from auto_lora.dialogues.definitions.role_words import role_of
from auto_lora.dialogues.definitions.roles import roles_by_tool, roles_of
from auto_lora.dialogues.values.dates import in_order
from auto_lora.dialogues.values.pool_for import pool_for
from auto_lora.dialogues.values.sampler import Sampler
from auto_lora.dialogues.values.surfaces import Value
from auto_lora.dialogues.wording.planned import PlannedCall
from auto_lora.dialogues.wording.told_forms import forms_by_definition
from tests.tool_lists import many, text, tool


def whole(description=""):
    return {"type": "integer", "description": description}


TIMER = tool("set_timer", "Set a timer.", ["minutes"], minutes=whole("Minutes."))
CHARGE = tool(
    "process_payment", "Charge a customer's payment method.", ["customer_id", "amount", "currency"],
    customer_id=text("Customer ID, e.g. cus_8f2k1"), amount=whole("Amount in cents"), currency=text("Three-letter currency code"),
)  # fmt: skip
STOCK = tool(
    "update_inventory", "Adjust the stock level of a product.", ["sku", "quantity_change"], sku=text("Product SKU"),
    quantity_change=whole("Number of units to add (positive) or remove (negative)"), warehouse=text("Warehouse code"),
    reason=text("Reason for the adjustment"),
)  # fmt: skip


def asked(definition, count):
    """(prompt, arguments) of the calls written for one tool beside a timer."""
    made = SyntheticDataGenerator([definition, TIMER], TrainingConfig(seed=3)).generate(
        2 * count, "train", shares={"single": 0.5, "optional": 0.5}
    )
    calls = [(c.prompt, c.scored_turns()[0].expected[0]) for c in made]
    return [(prompt, dict(call.arguments)) for prompt, call in calls if call.name == definition.name]


def test_money_in_cents_is_said_in_whole_ones_or_in_cents():
    whole_ones = cents = 0
    for prompt, given in asked(CHARGE, 80):
        amount, said = given["amount"], prompt.replace(",", "")
        assert given["currency"] not in ("JPY", "KRW"), prompt
        assert 100 <= amount <= 500_000
        if f"{amount} cents" in said:
            cents += 1
            assert given["currency"] in ("USD", "EUR", "AUD", "CAD"), prompt
        else:
            whole_ones += 1
            assert not re.search(rf"(?<![\d.]){amount}(?![\d.])", said), prompt
            assert re.search(rf"(?<![\d.]){amount // 100}(?:\.{amount % 100:02d})?(?!\d)", said), prompt
    assert whole_ones > 20 and cents > 5


def test_a_change_goes_both_ways():
    added = removed = 0
    for prompt, given in asked(STOCK, 80):
        change = given["quantity_change"]
        if change > 0:
            added += re.search(rf"adding {change}\b", prompt.lower()) is not None
            assert not re.search(
                rf"(?:minus |-|removing ){change}\b(?!-)", prompt.lower().replace(given["sku"].lower(), "")
            ), prompt
        else:
            removed += 1
            assert re.search(rf"(?:minus |-|removing ){-change}\b", prompt.lower()), prompt
    assert added > 5 and removed > 15


def sampled(definition, name, count):
    """Values of one parameter, as they are drawn for a call."""
    sampler = Sampler(3, "train")
    sampler.tool_words = f"{definition.name} {definition.description}"
    sampler.roles = roles_by_tool(definition)
    schema = definition.properties[name]
    return [sampler.sample(name, schema, definition.parameters).json for _ in range(count)]


def test_reasons_are_those_of_what_is_done():
    refund = tool("refund_order", "Refund an order.", reason=text("Reason for the refund"))
    leave = tool("request_leave", "Submit a leave request.", reason=text("Reason for the leave"))
    inventories = phrases("inventories")
    assert set(sampled(refund, "reason", 40)) <= set(inventories["reason_return"])
    assert set(sampled(leave, "reason", 40)) <= set(inventories["reason_absence"])
    assert set(sampled(STOCK, "reason", 40)) <= set(inventories["reason_stock"])


def test_a_reason_that_is_a_clause_stands_after_because():
    call = PlannedCall(STOCK, {})
    forms = {
        words: forms_by_definition(call, {"reason": "reason"}, "reason", Value(words, words, "reason"), words, twice=False, counted=False)
        for words in ("it never arrived", "they sent too many", "water damage", "IT support")
    }  # fmt: skip
    assert forms["it never arrived"] == forms["they sent too many"] != []
    assert all(form.startswith(("because {v}", "since {v}")) for form in forms["it never arrived"])
    assert forms["water damage"] == []


def test_names_of_work_are_those_that_are_used_there():
    slack = tool("post", "Post a message to Slack.", channel=text("Channel name or ID, e.g. #general"))
    plans = tool("list_customers", "List customers.", plan=text("Subscription plan"))
    files = tool("search_files", "Search for files.", excludePatterns=many("Patterns to exclude"))
    pulls = tool("list_pull_requests", "List pull requests.", author=text("GitHub username of the author"))
    assert all(re.fullmatch(r"#[a-z-]+", v) for v in sampled(slack, "channel", 30))
    assert set(sampled(plans, "plan", 30)) <= set(phrases("inventories")["plan_name"])
    assert all(re.search(r"\d", v) and " " not in v for v in sampled(STOCK, "warehouse", 30))
    assert all("*" in v for values in sampled(files, "excludePatterns", 20) for v in values)
    assert all(" " not in v and v.islower() for v in sampled(pulls, "author", 20))
    assert not any(re.fullmatch(r"\d{3}-\d\d-\d{4}", v) for v in sampled(STOCK, "sku", 200))


def test_nobody_assigns_a_ticket_to_mom():
    tickets = tool(
        "assign_ticket", "Assign a ticket to an agent.", assignee=text("Name or email of the agent")
    )
    bills = tool("create_invoice", "Create an invoice for a customer.", customer=text("Customer name"))
    people = sampled(tickets, "assignee", 60)
    assert sum("@" in p for p in people) > 5
    assert not set(people + sampled(bills, "customer", 60)) & set(phrases("inventories")["relation"])


def test_queries_select_what_they_group_by():
    grouped = 0
    for sql in sampled(tool("run", "Run a read-only SQL query.", sql=text("The SQL query")), "sql", 150):
        assert sql.startswith("SELECT ")
        if found := re.search(r"SELECT (\w+), .* GROUP BY (\w+)", sql):
            grouped += 1
            assert found[1] == found[2]
    assert grouped > 5
    assert role_of("timeout_seconds", "Query timeout in seconds", "integer") == "timeout"


def test_a_meeting_ends_on_the_day_it_begins():
    stamp = {**text("Time in ISO 8601 format"), "format": "date-time"}
    schemas = {"start": stamp, "end": stamp}

    def ends(tool_words):
        sampler = Sampler(3, "train")
        for _ in range(80):
            drawn = {n: sampler.sample(n, stamp) for n in schemas}
            made = in_order(sampler.random, "train", drawn, schemas, (), tool_words)
            yield made["start"].json[:10] == made["end"].json[:10], made["end"].surface

    met = list(ends("create_event Create an event in the calendar."))
    assert sum(same for same, _ in met) > 70
    assert sum(same and not re.search(r"20\d\d", said) for same, said in met) > 35  # the day is said once
    assert sum(same for same, _ in ends("rent_car Rent a car.")) < 65


TICKET = tool(
    "create_ticket", "Create a support ticket.", ["title", "description"], title=text("Short summary of the problem"),
    description=text("Detailed description of the issue"),
)  # fmt: skip
MAIL = tool(
    "send_email", "Send an email.", ["to", "subject", "body"], to=many("Recipients"), subject=text("Subject line"),
    body=text("Body of the email"),
)  # fmt: skip


def of_one_form(kind, first, second):
    """Whether two texts are of one matter: a title and what it describes, with the same words in their slots."""

    def pattern(form):
        taken, parts = set(), re.split(r"\{(\w+)\}", form)
        return "".join(
            re.escape(p) if i % 2 == 0 else f"(?P={p})" if p in taken else taken.add(p) or f"(?P<{p}>.+?)"
            for i, p in enumerate(parts)
        )

    return any(
        re.fullmatch(pattern(f"{head}@@{said}") + ("" if kind != "emails" else r"(?:\..*)?"), f"{first}@@{told}", re.I)
        for head, said, *_ in phrases("work_texts")[kind]
        for told in {second, re.sub(r"^[^,.]*, ", "", second)}
    )  # fmt: skip


def test_a_tickets_description_is_about_its_title():
    issue = tool(
        "create_issue", "Create a new issue in a GitHub repository", ["title", "body"], title=text("Issue title"),
        body=text("Issue body content"),
    )  # fmt: skip
    for kind, definition, body in (("tickets", TICKET, "description"), ("issues", issue, "body")):
        seen = asked(definition, 60)
        assert len({given["title"] for _, given in seen}) > 20
        for prompt, given in seen:
            assert of_one_form(kind, given["title"], given[body]), prompt
            assert given["title"] in prompt and given[body] in prompt
            assert kind == "issues" or f'"{given[body]}"' in prompt, prompt


def test_a_mail_is_about_its_subject():
    seen = asked(MAIL, 80)
    several = [prompt for prompt, given in seen if ". " in given["body"]]
    signed = [
        1 for _, given in seen if re.search(r"[.] (?:best|thanks|kind|regards|cheers)\b", given["body"], re.I)
    ]
    assert len(seen) > 50 and len(seen) * 0.3 < len(several) < len(seen) * 0.7 and len(signed) > 5
    for prompt, given in seen:
        assert of_one_form("emails", given["subject"], given["body"]), prompt
        assert ". " not in given["body"] or f'"{given["body"]}"' in prompt, prompt


def test_a_mail_without_a_subject_is_one_of_work_too():
    short = tool(
        "send_mail", "Send an email.", ["to", "message"], to=text("Recipient"), message=text("Message")
    )
    bodies = [given["message"] for _, given in asked(short, 60)]
    assert len(bodies) > 30 and sum(". " in body for body in bodies) > 10


def pools_of(definition, name):
    """What a parameter is searched or commented with, as its domain says."""
    sampler = Sampler(3, "train")
    schema = definition.properties[name]
    told = f"{definition.name} {definition.description}"
    role = roles_of(definition)[name]
    return pool_for(sampler.random, name, schema["description"], role, told)


def test_queries_at_work_are_about_work():
    tickets = tool(
        "search_tickets", "Search for tickets matching the filters.", query=text("Full-text search query")
    )
    bugs = tool("find_bugs", "Find bugs in the bug tracker.", query=text("Search terms"))
    logs = tool("search_logs", "Search the logs of a service.", query=text("Text to look for"))
    documents = tool("search_documents", "Search documents of the company.", query=text("Search query"))
    web = tool("web_search", "Search the web.", query=text("Search query"))
    concerts = tool("find_tickets", "Find tickets for concerts.", query=text("What to look for"))
    assert [pools_of(t, "query") for t in (tickets, bugs, logs, documents)] == [
        "work_query", "work_query", "log_query", "document_query",
    ]  # fmt: skip
    assert pools_of(web, "query") == "query"
    assert pools_of(concerts, "query") != "work_query"
    assert len(set(sampled(tickets, "query", 60))) > 20
    assert not any("how to" in query for query in sampled(tickets, "query", 60))


def test_comments_at_work_are_about_work():
    comment = text("Comment")
    leave = tool(
        "request_leave", "Submit a leave request for an employee.", comment=text("Note for the manager")
    )
    decision = tool(
        "approve_leave", "Approve or reject a leave request.", comment=text("Comment to the employee")
    )
    review = tool("review_pull_request", "Submit a review of a pull request.", comment=comment)
    issue = tool("add_comment", "Add a comment to an issue.", comment=comment)
    supply = tool("place_order", "Place an order with a supplier.", comment=text("Order notes"))
    assert [pools_of(t, "comment") for t in (leave, decision, review, issue, supply)] == [
        "comment_leave", "comment_decision", "comment_code", "comment_ticket", "comment_order",
    ]  # fmt: skip
    pizza = tool("order_food", "Order food from a restaurant.", note=text("Note for the restaurant"))
    voice = tool("leave_message", "Leave a message for a contact.", message=text("The message"))
    refund = tool("issue_refund", "Issue a refund.", note=text("Note for the refund"))
    assert not any(
        pools_of(t, n).startswith("comment_")
        for t, n in ((pizza, "note"), (voice, "message"), (refund, "note"))
    )


def test_a_message_in_slack_is_called_by_its_time():
    stamp = text("Timestamp of the parent message to reply in a thread")
    slack = tool(
        "slack_post_message",
        "Post a message to a Slack channel.",
        ["text"],
        text=text("Text"),
        thread_ts=stamp,
    )
    forum = tool("post_reply", "Post a reply in a forum.", ["text"], text=text("Text"), thread_ts=stamp)
    assert all(re.fullmatch(r"17\d{8}\.\d{6}", v) for v in sampled(slack, "thread_ts", 60))
    assert not any(re.fullmatch(r"17\d{8}\.\d{6}", v) for v in sampled(forum, "thread_ts", 30))
    seen = 0
    for prompt, given in asked(slack, 60):
        if "thread_ts" in given:
            seen += 1
            assert given["thread_ts"] in prompt
    assert seen > 5


def test_who_is_invited_has_a_name_or_an_address_as_the_definition_says():
    meeting = tool(
        "schedule_meeting", "Schedule a meeting in the calendar.", attendees=many("Email addresses of the attendees"),
        participant=text("Participant's email"), invitees=many("Names of the people to invite, who get an email"),
        attendee=text("Name or email of another attendee"),
    )  # fmt: skip
    mails = [mail for mails in sampled(meeting, "attendees", 30) for mail in mails]
    mails += sampled(meeting, "participant", 30)
    assert all(re.fullmatch(r"\S+@\S+", mail) for mail in mails)
    assert not any("@" in name for names in sampled(meeting, "invitees", 30) for name in names)
    assert 5 < sum("@" in one for one in sampled(meeting, "attendee", 60)) < 50


def test_a_mail_may_be_of_home():
    known = [
        head
        for head, *_ in phrases("work_texts")["emails"]
        if head.startswith(("Dinner", "Book club", "Lost"))
    ]
    assert len(known) == 3
    assert (
        sum(
            given["subject"].lower().startswith(("dinner", "book club", "lost"))
            for _, given in asked(MAIL, 100)
        )
        > 2
    )

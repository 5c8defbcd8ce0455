"""The command line: `auto-lora`, `python -m auto_lora` and `python auto_lora.py`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from auto_lora import __version__
from auto_lora._errors import AutoLoRAError, ToolsError, UsageError
from auto_lora._interrupts import run
from auto_lora._settings import TrainingConfig, flag_of, flags, options_table, parse_text, range_of

_GROUPS = {
    "model": "model and tools", "data": "synthetic data", "lora": "LoRA", "training": "training",
    "loop": "iterations", "serving": "serving and scoring", "output": "output",
}  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """All flags: the actions, and one flag for each field of TrainingConfig."""
    parser = argparse.ArgumentParser(
        prog="auto-lora",
        # Not every flag: a mistake is one sentence, not forty lines with it at their end.
        usage="%(prog)s [--check | --train | --generate | --evaluate DIR | --export DIR | --serve DIR | --report DIR | --reproduce FILE] [options]",
        description="A list of tools in, a LoRA adapter that calls them out, proven on the served GGUF.",
        epilog="auto-lora tools SOURCE shows what was understood of tools, and what llama.cpp makes of them.",
        allow_abbrev=False,
    )
    actions = parser.add_argument_group("what to do (one of)").add_mutually_exclusive_group()
    actions.add_argument(
        "--check", action="store_true", help="look at machine, packages, llama.cpp, model and tools"
    )
    actions.add_argument(
        "--train", action="store_true", help="the whole way: data, training, export, scoring, again"
    )
    actions.add_argument("--generate", action="store_true", help="write the data only, as JSONL")
    actions.add_argument(
        "--evaluate",
        metavar="DIR",
        help="score the adapter in DIR against its base, as --train does at its end",
    )
    actions.add_argument(
        "--export", metavar="DIR", help="write DIR/adapter.gguf from the PEFT adapter in DIR"
    )
    actions.add_argument("--serve", metavar="DIR", help="serve base and adapter of DIR until Ctrl-C")
    actions.add_argument("--report", metavar="DIR", help="write report.html of the finished run in DIR again")
    actions.add_argument(
        "--reproduce", metavar="FILE", help="run a manifest.json again into --output, and compare"
    )
    actions.add_argument(
        "--options-table", action="store_true", help="print all settings as a Markdown table"
    )
    parser.add_argument("--version", action="version", version=f"auto-lora {__version__}")
    how = parser.add_argument_group("how")
    how.add_argument("--config", metavar="FILE", help="YAML file of settings; flags win over it")
    how.add_argument(
        "--demo", action="store_true", help="embedded 135M model, packaged tools, small settings"
    )
    how.add_argument("--dry-run", action="store_true", help="print what --train would do, and stop")
    how.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    how.add_argument("--overwrite", action="store_true", help="replace the run in the output folder")
    how.add_argument("--json", action="store_true", help="--check and --dry-run for programs")
    groups = {key: parser.add_argument_group(title) for key, title in _GROUPS.items()}
    for field in flags():
        group = groups[field.metadata["group"]]
        allowed = f" [{range_of(field)}]" if range_of(field) else ""
        text = (field.metadata["help"] + allowed).replace("%", "%%")
        if field.metadata["kind"] is bool:
            group.add_argument(
                flag_of(field),
                dest=field.name,
                default=None,
                action=argparse.BooleanOptionalAction,
                help=text,
            )
        else:
            group.add_argument(flag_of(field), dest=field.name, default=None, metavar="X", help=text)
    return parser


def build_tools_parser() -> argparse.ArgumentParser:
    """The flags of `auto-lora tools`."""
    parser = argparse.ArgumentParser(
        prog="auto-lora tools",
        description="Shows what was understood of a source of tools, and what llama.cpp cannot take of it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="JSON file, Python module, OpenAPI 3 document, MCP server's URL or 'mcp:stdio COMMAND ...'",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--fix-tools", metavar="FILE", help="write tools that llama.cpp takes to FILE")
    return parser


def config_of(args: argparse.Namespace) -> TrainingConfig:
    """Settings from flags, then the YAML file, then those of the manifest, the run of the folder or the demo, then the defaults."""
    given = {
        f.name: value if isinstance(value, bool) else parse_text(f, value)
        for f in flags()
        if (value := getattr(args, f.name)) is not None
    }
    base: dict[str, Any] = {}
    if args.demo:
        from auto_lora.quick_demo import demo_settings

        output = args.output_dir or TrainingConfig.output_dir
        base = demo_settings(resumed=output if args.resume else None)
    if folder := args.evaluate or args.serve:
        from auto_lora._runs import settings_beside

        known = {f.name for f in flags()}  # the run may be another version's
        base |= {k: v for k, v in settings_beside(folder).items() if k in known}
    if args.reproduce:
        from auto_lora.manifest import read_manifest, settings_to_repeat

        base |= settings_to_repeat(read_manifest(args.reproduce))
    if args.config:
        file = TrainingConfig.read_yaml(args.config)
        base |= file
    return TrainingConfig.from_dict({**base, **given})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0 done, 1 could not, 2 wrong usage."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # transformers' own bars would break up the log
    given = list(sys.argv[1:] if argv is None else argv)
    shows_tools = given[:1] == ["tools"]
    try:
        args = build_tools_parser().parse_args(given[1:]) if shows_tools else build_parser().parse_args(given)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    try:
        return _show_tools(args) if shows_tools else _run(args)
    except AutoLoRAError as error:
        print(f"auto-lora: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        goes_on = not shows_tools and (args.train or args.reproduce)
        more = "; --resume goes on after the last finished step" if goes_on else ""
        print(f"auto-lora: stopped{more}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `auto-lora tools ... | head`; elsewhere nobody reads along
        if not (shows_tools or args.json):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(args: argparse.Namespace) -> int:
    if args.options_table:
        print(options_table())
        return 0
    if not (
        args.check
        or args.train
        or args.dry_run
        or args.generate
        or args.evaluate
        or args.export
        or args.serve
        or args.report
        or args.reproduce
    ):
        raise UsageError(
            "say what to do: --check, --train, --generate, --evaluate DIR, --export DIR, --serve DIR, "
            "--report DIR or --reproduce FILE",
            "try: auto-lora --train --demo; --help lists all settings",
        )
    config = config_of(args)
    if args.check:
        return _check(config, args.json)
    if args.dry_run:
        return _dry_run(config, args)
    if args.train:
        from auto_lora.workflow import AutoLoRACreator

        creator = AutoLoRACreator(config, _tools(config))
        _, metrics = run(creator.create_adapter(resume=args.resume, overwrite=args.overwrite))
        return 0 if metrics["success"] else 1
    elif args.generate:
        from auto_lora.synthetic_data import generate_data

        generate_data(config, _tools(config), overwrite=args.overwrite)
    elif args.evaluate:
        from auto_lora.single_folder import evaluate_adapter

        metrics = run(evaluate_adapter(config, args.evaluate))
        return 0 if metrics["success"] else 1
    elif args.export:
        from auto_lora.single_folder import export_directory

        print(export_directory(config, args.export))
    elif args.serve:
        from auto_lora.single_folder import serve_directory

        run(serve_directory(config, args.serve))
    elif args.report:
        from auto_lora.report import write_report

        print(write_report(args.report))
    elif args.reproduce:
        return _reproduce(config, args)
    return 0


def _tools(config: TrainingConfig) -> list[Any]:
    from auto_lora.catalog import load_tools

    if not config.tools:
        raise ToolsError("there are no tools", "give them with --tools FILE, or try --demo")
    return load_tools(config.tools)


def _reproduce(config: TrainingConfig, args: argparse.Namespace) -> int:
    """Runs a manifest's run again and prints what came out equal."""
    from auto_lora._runs import read_json
    from auto_lora.catalog import parse_tools
    from auto_lora.manifest import check_repeat, compare_manifests, print_comparison, read_manifest, same_run
    from auto_lora.workflow import AutoLoRACreator

    before = read_manifest(args.reproduce)
    check_repeat(before, args.reproduce, config)
    creator = AutoLoRACreator(config, parse_tools(before["tools"], args.reproduce))
    final, _ = run(creator.create_adapter(resume=args.resume, overwrite=args.overwrite))
    differences = compare_manifests(before, read_json(final / "manifest.json"))
    print_comparison(creator.reporter.console, differences)
    return 0 if same_run(differences) else 1


def _show_tools(args: argparse.Namespace) -> int:
    from rich.console import Console

    from auto_lora._runs import write_json
    from auto_lora.catalog import lint, load_tools, show

    tools = load_tools(args.source)
    facts = show.as_json(tools)
    if args.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        show.print_tools(Console(width=None if sys.stdout.isatty() else 160), tools)
    if args.fix_tools:
        if os.path.exists(args.source) and os.path.realpath(args.source) == os.path.realpath(args.fix_tools):
            raise UsageError(f"{args.fix_tools} is where the tools come from", "give another file")
        path = write_json(args.fix_tools, [t.to_json() for t in lint.fixed(tools)])
        print(f"auto-lora: {path} holds tools that llama.cpp takes", file=sys.stderr)
    return 0 if facts["ok"] or args.fix_tools else 1


def _check(config: TrainingConfig, as_json: bool) -> int:
    from rich.console import Console

    from auto_lora.preflight import DependencyChecker

    report = run(DependencyChecker(config).run())
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
    else:
        report.print(Console(width=None if sys.stdout.isatty() else 160))
    return 0 if report.ok else 1


def _dry_run(config: TrainingConfig, args: argparse.Namespace) -> int:
    """Prints what a run would be; ends with the error that would stop it at once."""
    from auto_lora.dialogues import Donated, SyntheticDataGenerator
    from auto_lora.preflight import check_tools, dry_run, why_not

    tools = _tools(config)
    check_tools(tools)
    config = config.for_tools(tools)
    donated = Donated.of(config, tools)
    plan = SyntheticDataGenerator(tools, config, donated=donated).plan(
        config.num_synthetic_examples, config.training_shares or None
    )
    rehearsed = config.num_rehearsed
    facts = dry_run(config, tools) | {"examples_per_category": plan, "rehearsed_answers": rehearsed}
    error = why_not(config, tools, resume=args.resume, overwrite=args.overwrite)
    if args.json:
        stopped = {"message": error.message, "hint": error.hint} if error else None
        print(json.dumps({**facts, "stops": stopped}, indent=2))
        return error.exit_code if error else 0
    print("settings:")
    for key, value in facts["settings"].items():
        print(f"  {key}: {value}")
    print("training examples per category: " + ", ".join(f"{k} {v}" for k, v in plan.items()))
    print(f"and ordinary prompts without tools, answered by the base: {rehearsed} at most")
    print(f"model: {facts['model']}")
    print(f"download: {facts['download']}")
    print(f"estimate: {facts['estimate']}")
    print("nothing was written")
    if error:
        raise error
    return 0


if __name__ == "__main__":
    sys.exit(main())

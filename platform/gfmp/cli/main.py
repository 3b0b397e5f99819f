"""`gfmp`: one group of commands, one way to end with an error."""

from __future__ import annotations

import signal
import sys
import traceback

import click

from gfmp import __version__
from gfmp.cli.asking import embed, predict
from gfmp.cli.completion import answer, completion
from gfmp.cli.doctor import doctor
from gfmp.cli.examples import add_examples
from gfmp.cli.export import export
from gfmp.cli.garbage import gc
from gfmp.cli.init import init
from gfmp.cli.jobs import plan, submit
from gfmp.cli.options import FROM_SHELL
from gfmp.cli.paper import verify_paper
from gfmp.cli.replay import replay, reproduce
from gfmp.cli.runs import runs, ui
from gfmp.cli.schemas import explain, schema
from gfmp.cli.sweeps import report, sweep
from gfmp.cli.tasks import tasks
from gfmp.cli.verify import verify
from gfmp.cli.vocabularies import register_vocab, vocab
from gfmp.errors import GfmpError, InterruptedRunError

_FIRST = """\b
Begin with your own sequences:
  gfmp init my-lab --fasta genome.fa --labels labels.csv
or with those of the demo:
  gfmp submit jobs/pretrain.yaml
Something does not work:
  gfmp doctor"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=_FIRST,
)
@click.version_option(__version__, prog_name="gfmp")
def gfmp() -> None:
    """Pretrain and compare DNA foundation models with ensemble vocabularies."""


for command in (init, plan, submit, sweep, report, register_vocab, vocab, tasks, runs, ui):
    gfmp.add_command(command)
for command in (predict, embed, export, replay, reproduce, verify_paper):
    gfmp.add_command(command)
for command in (schema, explain, completion, doctor, gc):
    gfmp.add_command(command)
runs.add_command(verify)
add_examples(gfmp)


def main() -> None:
    """Run the command line and exit with the status of RELIABILITY's contract."""
    from gfmp.cli.render.errors import show_error

    output = sys.stdout
    if (answered := answer(gfmp)) is not None:
        sys.exit(answered)
    try:
        status = gfmp.main(standalone_mode=False, obj=FROM_SHELL)
    except GfmpError as fault:
        show_error(fault)
        status = fault.exit_status
    except (click.exceptions.Abort, KeyboardInterrupt):
        stopped = InterruptedRunError(
            "gfmp was stopped (SIGINT)",
            why="no run was under way, so there is none to go on with",
            fix="give the same command again",
        )
        show_error(stopped)
        status = stopped.exit_status
    except click.ClickException as fault:
        fault.show()
        status = fault.exit_code
    except SystemExit as ended:
        # Click puts something else there when nobody reads the output any more.
        status = 141 if sys.stdout is not output else _status_of(ended)
    except Exception:
        status = _bug()
    sys.exit(status if isinstance(status, int) else 0)


def _status_of(ended: SystemExit) -> int:
    """Return the status for an exit that a library asked for; gfmp itself raises errors."""
    # Ray's handler of SIGTERM.
    return 143 if ended.code == signal.SIGTERM else _bug()


def _bug() -> int:
    from gfmp.cli.render.errors import show_bug
    from gfmp.ledger.provenance import redacted

    show_bug(redacted(traceback.format_exc()))
    return 70

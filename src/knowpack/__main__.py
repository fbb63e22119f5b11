"""The `knowpack` command, also as `python -m knowpack`: Ctrl-C is one line from its first import to its end."""

import signal
import sys

from knowpack.errors import StoppedError


def main() -> None:
    """Run the command. Once it has ended a second Ctrl-C ends the process at once, whatever the libraries clean up."""
    try:
        from knowpack.cli.main import main as command

        command()
    except KeyboardInterrupt:
        stopped = StoppedError()
        print(f"knowpack: {stopped}", file=sys.stderr)
        sys.exit(stopped.exit_code)
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup has it ignored
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()

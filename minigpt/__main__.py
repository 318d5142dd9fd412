"""The command line as a process: its exit code, and its end. All else is imported when Ctrl-C is provided for, and
torch only by the command that needs it, so that --help answers at once."""

import atexit
import os
import signal
import sys

from minigpt.commands import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE


def run() -> None:
    """Be the program that was called from a shell."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is behind a script's `&`
        signal.signal(signal.SIGINT, interrupted)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # all has been done and said by then
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `2>&-`
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115 (as long as the process)
    sys.exit(main())


def interrupted(*_) -> None:
    """Leave at once, from wherever this is: an exception would be lost in a destructor, or come out of a half-done
    import as another one. The caches' files have no names, so nothing is left behind."""
    try:
        os.write(2, b"\x1b[?25h\ninterrupted\n" if os.isatty(2) else b"interrupted\n")  # progress bars hid the cursor
    finally:
        os._exit(EXIT_INTERRUPTED)


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    from minigpt.commands.parser import parse
    from minigpt.show.escapes import visible

    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()  # here, where a full disk can still be told
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (ValueError, OSError, RuntimeError) as error:
        print(f"minigpt: {visible(str(error))}", file=sys.stderr)
        return EXIT_USAGE


if __name__ == "__main__":
    run()

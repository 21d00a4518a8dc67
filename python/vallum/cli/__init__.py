"""The command `vallum`: one file a command.

- `app`      puts the commands together; `main` is what the installed script calls
- `run`, `check`, `explain`, `expr`, `token`, `acl`   the commands
- `program`  the broker as a program, `explanation`  what `explain` answers
- `options`  options that several have, `output`  answers as text or as JSON

Answers go to standard output, talk to standard error. Exit codes: 0 yes, 1 refused or not found,
2 wrong usage or configuration. Nothing heavy is imported before a command needs it.
"""

from vallum.cli.app import main

__all__ = ["main"]

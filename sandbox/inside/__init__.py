"""All that runs inside of the sandbox: the zygote, its locked-down children,
the harness that serves a program."""

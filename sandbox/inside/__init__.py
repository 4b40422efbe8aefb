"""What runs inside of the sandbox: the zygote, its locked-down children, the harness of a program."""

"""How not to do it: a server that looks every five seconds whether a right has ended, and believes itself meanwhile.

`python -m benchmarks.torture_sharing.slow_epoch serve …`, as `iain serve …`. It exists to show that
`benchmarks.torture_sharing.revocation` can tell.
"""

from slideserver import access, cli

if __name__ == "__main__":
    access.READ_EVERY_S = 5.0
    access.STALE_AFTER_S = 30.0
    cli.main()
